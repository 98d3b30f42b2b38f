//! At least one file for every rule, in the places where such things are found.

use super::{ALNUM, BASE64, HEX, LETTERS, Random, Sample, UPPER, URL64, base64, pem, url64};

/// Files with one secret each.
pub fn positives() -> Vec<Sample> {
    let mut r = Random::new(11);
    let mut samples = Vec::new();
    let mut add = |rule: &'static str, name: &str, secret: String, template: &str| {
        assert!(template.contains("@@"));
        let content = template.replace("@@", &secret).into_bytes();
        samples.push(Sample { rule, name: name.to_owned(), content, secret });
    };
    for (name, kind) in [
        ("id_rsa", "RSA "),
        ("server.pem", ""),
        ("ec.key", "EC "),
        ("id_ed25519", "OPENSSH "),
        ("dsa.pem", "DSA "),
        ("locked.pem", "ENCRYPTED "),
    ] {
        let key = pem(&mut r, kind);
        add("secret/private-key", name, key, "@@");
    }
    let block = pem(&mut r, "").replace("KEY-----", "KEY BLOCK-----").replace("PRIVATE", "PGP PRIVATE");
    add("secret/private-key", "secring.asc", block, "@@");
    let escaped = pem(&mut r, "").replace('\n', "\\n");
    add(
        "secret/private-key",
        "service-account.json",
        escaped,
        "{\"type\": \"service_account\", \"private_key\": \"@@\"}\n",
    );
    let quoted = pem(&mut r, "RSA ").lines().map(|line| format!("    \"{line}\\n\"\n")).collect();
    add("secret/private-key", "keys.py", quoted, "KEY = (\n@@)\n");
    let age = format!("AGE-{}-KEY-1{}", "SECRET", r.of(UPPER, 58));
    add("secret/age-key", "key.txt", age, "# created: 2026-01-01\n@@\n");
    let putty = format!(
        "PuTTY-User-{}-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 1\n{}\n",
        "Key",
        r.of(BASE64, 64)
    );
    add("secret/putty-key", "me.ppk", putty, "@@");
    add(
        "secret/aws-access-key",
        "deploy.sh",
        format!("{}IA{}", "AK", r.of(UPPER, 16)),
        "export AWS_ACCESS_KEY_ID=@@\n",
    );
    add(
        "secret/aws-access-key",
        "notes.md",
        format!("{}IA{}", "AS", r.of(UPPER, 16)),
        "The role had `@@` at the time.\n",
    );
    add(
        "secret/aws-secret-key",
        ".aws/credentials",
        r.of(BASE64, 40),
        "[default]\naws_secret_access_key = @@\n",
    );
    add(
        "secret/aws-secret-key",
        "train.py",
        r.of(BASE64, 40),
        "client = connect(\n    aws_secret_access_key=\"@@\",\n)\n",
    );
    add(
        "secret/azure-key",
        "blob.ini",
        format!("{}==", r.of(BASE64, 86)),
        "conn = DefaultEndpointsProtocol=https;AccountName=a;AccountKey=@@;EndpointSuffix=x\n",
    );
    add(
        "secret/azure-key",
        "app.yaml",
        format!("{}7Q~{}", r.of(ALNUM, 3), r.of(ALNUM, 34)),
        "tenant: x\nvalue: @@\n",
    );
    add(
        "secret/gcp-key",
        "maps.html",
        format!("{}za{}", "AI", r.of(URL64, 35)),
        "<script src=\"https://maps.example.org/api/js?key=@@\"></script>\n",
    );
    add(
        "secret/gcp-key",
        "oauth.json",
        format!("GOC{}-{}", "SPX", r.of(URL64, 28)),
        "{\"installed\": {\"x\": \"@@\"}}\n",
    );
    add("secret/gcp-key", "session.log", format!("ya{}.{}", 29, r.of(URL64, 120)), "got @@ for an hour\n");
    for kind in ["p", "o", "s"] {
        add(
            "secret/github-token",
            "ci.yml",
            format!("gh{kind}_{}", r.of(ALNUM, 36)),
            "steps:\n  - run: git clone x\n    env: {T: @@}\n",
        );
    }
    add(
        "secret/github-token",
        "clone.txt",
        format!("github_{}_{}_{}", "pat", r.of(ALNUM, 22), r.of(ALNUM, 59)),
        "used @@ here\n",
    );
    add(
        "secret/gitlab-token",
        ".gitlab-ci.yml",
        format!("gl{}-{}", "pat", r.of(URL64, 20)),
        "variables:\n  T: \"@@\"\n",
    );
    add(
        "secret/slack-token",
        "bot.js",
        format!("xo{}-{}-{}-{}", "xb", r.of("0123456789", 12), r.of("0123456789", 12), r.of(ALNUM, 24)),
        "const slack = new App('@@');\n",
    );
    add(
        "secret/slack-webhook",
        "notify.sh",
        format!("T{}/B{}/{}", r.of(UPPER, 8), r.of(UPPER, 8), r.of(ALNUM, 24)),
        "curl -d x https://hooks.slack.com/services/@@\n",
    );
    add("secret/stripe-key", "pay.rb", format!("sk_{}_{}", "live", r.of(ALNUM, 24)), "Stripe.key = '@@'\n");
    add("secret/stripe-key", "hook.ts", format!("wh{}_{}", "sec", r.of(ALNUM, 32)), "verify(body, '@@')\n");
    add(
        "secret/hugging-face-token",
        "download.ipynb",
        format!("h{}_{}", "f", r.of(LETTERS, 34)),
        "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"login('@@')\\n\"]}], \"nbformat\": 4}\n",
    );
    add(
        "secret/hugging-face-token",
        ".cache/huggingface/token",
        format!("h{}_{}", "f", r.of(LETTERS, 34)),
        "@@",
    );
    add("secret/openai-key", "ask.py", format!("s{}-proj-{}", "k", r.of(URL64, 74)), "openai.key = \"@@\"\n");
    add(
        "secret/openai-key",
        "old.py",
        format!("s{}-{}T3Blbk{}{}", "k", r.of(ALNUM, 20), "FJ", r.of(ALNUM, 20)),
        "openai.key = \"@@\"\n",
    );
    add(
        "secret/anthropic-key",
        "ask.ts",
        format!("s{}-ant-api03-{}", "k", r.of(URL64, 95)),
        "new Client('@@')\n",
    );
    add(
        "secret/npm-token",
        ".npmrc",
        format!("n{}_{}", "pm", r.of(ALNUM, 36)),
        "//registry.example.org/:_authToken=@@\n",
    );
    add(
        "secret/pypi-token",
        ".pypirc",
        format!("py{}-AgEIcHlwaS5vcmc{}", "pi", r.of(URL64, 160)),
        "[pypi]\nusername = __token__\npassword = @@\n",
    );
    add(
        "secret/docker-token",
        "login.sh",
        format!("dc{}_pat_{}", "kr", r.of(URL64, 27)),
        "docker login -u x -p @@\n",
    );
    add("secret/twilio-token", "sms.py", r.of(HEX, 32), "TWILIO_AUTH_TOKEN = \"@@\"\n");
    add(
        "secret/sendgrid-key",
        "mail.go",
        format!("S{}.{}.{}", "G", r.of(URL64, 22), r.of(URL64, 43)),
        "client := New(\"@@\")\n",
    );
    add("secret/vault-token", "run.log", format!("h{}.{}", "vs", r.of(ALNUM, 95)), "Success! token @@\n");
    add("secret/databricks-token", "db.cfg", format!("da{}{}", "pi", r.of(HEX, 32)), "[DEFAULT]\nt = @@\n");
    add(
        "secret/digitalocean-token",
        "do.tf",
        format!("do{}_v1_{}", "p", r.of(HEX, 64)),
        "provider \"x\" { t = \"@@\" }\n",
    );
    add("secret/shopify-token", "shop.txt", format!("sh{}_{}", "pat", r.of(HEX, 32)), "x @@ y\n");
    add("secret/linear-key", "a.txt", format!("lin_{}_{}", "api", r.of(ALNUM, 40)), "x @@ y\n");
    add("secret/postman-key", "b.txt", format!("PM{}-{}-{}", "AK", r.of(HEX, 24), r.of(HEX, 34)), "x @@ y\n");
    add("secret/new-relic-key", "c.txt", format!("NR{}-{}", "AK", r.of(UPPER, 27)), "x @@ y\n");
    add("secret/rubygems-key", "d.txt", format!("ruby{}_{}", "gems", r.of(HEX, 48)), "x @@ y\n");
    add("secret/atlassian-token", "e.txt", format!("ATA{}{}", "TT3", r.of(URL64, 180)), "x @@ y\n");
    add("secret/groq-key", "f.txt", format!("gs{}_{}", "k", r.of(ALNUM, 52)), "x @@ y\n");
    add("secret/xai-key", "g.txt", format!("xa{}-{}", "i", r.of(ALNUM, 80)), "x @@ y\n");
    add("secret/perplexity-key", "h.txt", format!("pp{}-{}", "lx", r.of(ALNUM, 48)), "x @@ y\n");
    add("secret/nvidia-key", "i.txt", format!("nv{}-{}", "api", r.of(URL64, 64)), "x @@ y\n");
    add("secret/replicate-token", "j.txt", format!("r{}_{}", 8, r.of(ALNUM, 37)), "x @@ y\n");
    add(
        "secret/langsmith-key",
        "k.txt",
        format!("ls{}_pt_{}_{}", "v2", r.of(HEX, 32), r.of(HEX, 10)),
        "x @@ y\n",
    );
    add(
        "secret/pinecone-key",
        "l.txt",
        format!("pc{}_{}_{}", "sk", r.of(ALNUM, 6), r.of(ALNUM, 63)),
        "x @@ y\n",
    );
    add(
        "secret/grafana-token",
        "m.txt",
        format!("gl{}_{}_{}", "sa", r.of(ALNUM, 32), r.of(HEX, 8)),
        "x @@ y\n",
    );
    add("secret/sentry-token", "n.txt", format!("sn{}_{}", "trys", r.of(ALNUM, 120)), "x @@ y\n");
    add("secret/doppler-token", "o.txt", format!("dp.{}.{}", "pt", r.of(ALNUM, 43)), "x @@ y\n");
    add(
        "secret/terraform-token",
        ".terraformrc",
        format!("{}.atl{}.{}", r.of(ALNUM, 14), "asv1", r.of(ALNUM, 67)),
        "credentials \"x\" { t = \"@@\" }\n",
    );
    add(
        "secret/telegram-token",
        "bot.txt",
        format!("{}:A{}{}", r.of("123456789", 10), "A", r.of(URL64, 33)),
        "https://api.example.org/bot@@/getMe\n",
    );
    add(
        "secret/discord-webhook",
        "p.txt",
        r.of(URL64, 68),
        &format!("https://discord.com/api/webhooks/{}/@@\n", r.of("123456789", 18)),
    );
    let jwt = [
        url64(r#"{"alg":"HS256","typ":"JWT"}"#),
        url64(r#"{"sub":"ada","exp":1893456000}"#),
        r.of(URL64, 43),
    ]
    .join(".");
    add("secret/jwt", "trace.jsonl", jwt.clone(), "{\"headers\": {\"x-auth\": \"@@\"}}\n");
    add("secret/jwt", "curl.sh", jwt, "curl -H \"Authorization: Bearer @@\" x\n");
    for (name, template) in [
        ("db.py", "engine = create_engine(\"postgresql+psycopg2://ada:@@@db.example.org:5432/app\")\n"),
        (
            "compose.yaml",
            "services:\n  web:\n    environment:\n      CACHE: redis://:@@@cache.internal:6379/0\n",
        ),
        ("mongo.js", "connect('mongodb+srv://ada:@@@cluster0.example.net/test')\n"),
        (".git-credentials", "https://ada:@@@git.example.org\n"),
    ] {
        add("secret/connection-string", name, format!("{}9k", r.of(ALNUM, 11)), template);
    }
    add(
        "secret/bearer-token",
        "call.http",
        r.of(ALNUM, 40),
        "GET /v1/x HTTP/1.1\nAuthorization: Bearer @@\n",
    );
    add(
        "secret/basic-auth",
        "call2.http",
        base64(format!("ada:{}{}", r.of(ALNUM, 6), 42)),
        "GET / HTTP/1.1\nAuthorization: Basic @@\n",
    );
    for (name, template) in [
        ("settings.py", "DATABASES = {'default': {'PASSWORD': '@@'}}\n"),
        ("app.properties", "spring.datasource.password=@@\n"),
        ("values.yaml", "db:\n  user: ada\n  password: @@\n"),
        ("Main.java", "String password = \"@@\";\n"),
        ("web.config", "<add name=\"x\" connectionString=\"Server=db;User Id=sa;Pwd=@@;\" />\n"),
        ("run.sh", "mysqldump --password=@@ app\n"),
        ("data.jsonl", "{\"text\": \"{\\\"user\\\": \\\"ada\\\", \\\"password\\\": \\\"@@\\\"}\"}\n"),
        ("setup.xml", "<user>ada</user><password>@@</password>\n"),
        ("main.tf", "resource \"x\" \"y\" {\n  admin_password = \"@@\"\n}\n"),
        ("config.toml", "[smtp]\npasswd = '@@'\n"),
    ] {
        add("secret/password", name, format!("{}!7{}", r.of(LETTERS, 5), r.of(ALNUM, 4)), template);
    }
    for (name, template) in [
        ("client.py", "API_KEY = \"@@\"\n"),
        ("client.go", "const apiKey = \"@@\"\n"),
        ("config.json", "{\"auth\": {\"client_secret\": \"@@\"}}\n"),
        ("env.sh", "export SERVICE_TOKEN=@@\n"),
        ("call.sh", "curl 'https://api.example.org/v1/x?access_token=@@&limit=5'\n"),
        ("headers.txt", "X-Api-Key: @@\n"),
        ("chart.yaml", "encryption_key: @@\n"),
        ("lib.rs", "const SIGNING_KEY: &str = \"@@\";\n"),
        ("init.lua", "cfg.secret_key = '@@'\n"),
        ("k8s.yaml", "stringData:\n  webhook-secret: \"@@\"\n"),
        ("main.cs", "var options = new Options { AuthToken = \"@@\" };\n"),
        ("tool.txt", "tool --api-key @@ run\n"),
    ] {
        add("secret/high-entropy", name, format!("{}3{}8", r.of(ALNUM, 15), r.of(ALNUM, 15)), template);
    }
    add("secret/high-entropy", "hex.yaml", r.of(HEX, 40), "api_token: @@\n");
    for (name, template) in [
        (".env", "PORT=80\nDB_PASS=@@\n"),
        (".netrc", "machine x.example.org\nlogin ada\npassword @@\n"),
        (".pgpass", "db.example.org:5432:app:ada:@@\n"),
    ] {
        add("secret/credential-file", name, r.of(ALNUM, 24), template);
    }
    for (name, template) in [
        (".docker/config.json", "{\"auths\": {\"r.example.org\": {\"auth\": \"@@\"}}}\n"),
        ("kubeconfig", "users:\n- name: a\n  user:\n    client-key-data: @@\n"),
    ] {
        add("secret/credential-file", name, r.of(ALNUM, 12), template);
    }
    let hash = format!("${}$abcdefgh${}", "apr1", r.of(ALNUM, 22));
    add("secret/credential-file", ".htpasswd", hash, "ada:@@\n");
    add("secret/credential-file", "kaggle.json", r.of(HEX, 32), "{\"username\":\"ada\",\"key\":\"@@\"}\n");
    samples.push(Sample {
        rule: "secret/key-store",
        name: "release.jks".into(),
        content: [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..], &r.bytes(2000)].concat(),
        secret: String::new(),
    });
    samples
}
