//! What looks like secrets to a careless eye: code, configuration, vocabularies, hashes, images, weights.

use super::{ALNUM, BASE64, HEX, Random, Sample, base64};

/// Lines, each of which is a file, by the end of its name.
const LINES: &[(&str, &str)] = &[
    ("py", "password = getpass.getpass('Password: ')"),
    ("py", "password = os.environ['DB_PASSWORD']"),
    ("py", "token = os.getenv(\"HF_TOKEN\", default=None)"),
    ("py", "parser.add_argument('--password', help='the password to use', required=True)"),
    ("py", "def check_password(password: str, hashed_password: bytes) -> bool:"),
    ("py", "self.pad_token = tokenizer.pad_token or \"<|endoftext|>\""),
    ("py", "tokenizer = AutoTokenizer.from_pretrained(\"bert-base-uncased-2024\")"),
    ("py", "api_key: Optional[str] = None"),
    ("py", "client = OpenAI(api_key=settings.openai_api_key)"),
    ("py", "secret_name = \"projects/my-project/secrets/db-password-v2\""),
    ("py", "SECRET_KEY = config('SECRET_KEY')"),
    ("py", "raise ValueError('invalid password: must have 8 characters or more')"),
    ("py", "if password == '':"),
    ("py", "headers = {'Authorization': f'Bearer {token}'}"),
    ("py", "url = f'postgresql://{user}:{password}@{host}:{port}/{name}'"),
    ("py", "url = 'mysql://%s:%s@%s/%s' % (user, password, host, name)"),
    ("py", "if text.startswith('-----BEGIN PRIVATE KEY-----'):"),
    ("py", "PATTERN = re.compile(r'gh[pousr]_[A-Za-z0-9]{36}')"),
    (
        "py",
        "special_tokens = {'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>', 'cls_token': '[CLS]'}",
    ),
    ("py", "max_tokens = 4096; num_tokens = len(tokens); token_type_ids = inputs['token_type_ids']"),
    ("py", "key = hashlib.sha256(name.encode()).hexdigest()"),
    ("py", "attention_mask = mask.key_padding_mask(query=q, key=k, value=v)"),
    ("py", "secrets.token_urlsafe(32)"),
    ("py", "access_token = response.json()['access_token']"),
    ("py", "credentials = service_account.Credentials.from_service_account_file('service-account.json')"),
    ("py", "self.key_proj = nn.Linear(hidden_size, num_key_value_heads * head_dim, bias=False)"),
    ("py", "primary_key = 'customer_id_2024'"),
    ("py", "password = 'changeme'"),
    ("py", "api_key = 'your-api-key-here-1234567890'"),
    ("py", "TOKEN = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"),
    ("py", "API_KEY = '00000000000000000000000000000000'"),
    ("py", "SECRET = '<insert secret here 42>'"),
    ("py", "AUTH_TOKEN = '${AUTH_TOKEN_V2}'"),
    ("py", "password = \"dummy-password-1\""),
    ("py", "fake_token = 'fake_token_1234567890abcd'"),
    ("js", "const token = process.env.GITHUB_TOKEN;"),
    ("js", "const { password } = req.body; if (!password) return res.status(400).send('password required');"),
    ("js", "localStorage.setItem('authToken', response.data.token);"),
    ("js", "import { tokenize } from './tokenizer.js';"),
    ("js", "const passwordInput = document.querySelector('#password-input-2');"),
    ("js", "password: Joi.string().min(8).max(72).required(),"),
    ("js", "const publicKey = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE';"),
    ("ts", "export interface Login { username: string; password: string; token?: string }"),
    ("ts", "const apiKey = await vault.get('service/api-key/production');"),
    ("java", "private static final String PASSWORD_FIELD = \"user.password.field1\";"),
    ("java", "String token = request.getHeader(\"X-Auth-Token\");"),
    ("java", "KeyStore keyStore = KeyStore.getInstance(\"PKCS12\");"),
    ("go", "token := r.Header.Get(\"Authorization\")"),
    ("go", "password, err := terminal.ReadPassword(int(os.Stdin.Fd()))"),
    ("go", "case token.IDENT, token.INT, token.FLOAT:"),
    ("rs", "let secret_key = SecretKey::from_bytes(&bytes)?;"),
    ("rs", "const TOKEN_PREFIX: &str = \"consign-token-v1\";"),
    ("rs", "fn parse_token(&mut self, token: Token2022) -> Result<()> {"),
    ("c", "static int parse_token(struct lexer *lexer, struct token *token)"),
    ("c", "#define MAX_PASSWORD_LENGTH 128"),
    ("c", "uint8_t secret_key[crypto_sign_SECRETKEYBYTES];"),
    ("cpp", "auto token = lexer->next_token(); if (token.kind == Token::Eof) return;"),
    ("rb", "password = ENV.fetch('DATABASE_PASSWORD') { 'password' }"),
    ("sh", "export GITHUB_TOKEN=$(gh auth token)"),
    ("sh", "PASSWORD=${PASSWORD:?the password is not set}"),
    ("sh", "docker login --username \"$USER\" --password-stdin < ~/.docker/password.txt"),
    ("sh", "curl -H \"Authorization: Bearer $TOKEN\" https://api.example.org/v1/models"),
    ("sh", "git clone https://$GIT_USER:$GIT_TOKEN@git.example.org/team/repo.git"),
    ("sh", "API_TOKEN=\"$(vault kv get -field=token secret/ci)\""),
    ("sh", "read -rs -p 'Password: ' password"),
    ("yaml", "env:\n  TOKEN: ${{ secrets.GITHUB_TOKEN }}"),
    ("yaml", "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256"),
    ("yaml", "password: {{ .Values.database.password }}"),
    ("yaml", "secretName: tls-certificate-2024"),
    ("yaml", "secretKeyRef:\n  name: database-credentials\n  key: password"),
    ("yaml", "password: ENC[AES256_GCM,data:Tr7o1Q==,iv:1aB9,tag:kq2E,type:str]"),
    ("yaml", "auth: none\ntoken_ttl: 3600s\npassword_policy: strong-v2"),
    ("yaml", "api_key: \"\"\npassword: null\ntoken: ~"),
    (
        "yaml",
        "image: registry.example.org/team/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    (
        "json",
        "{\"password\": \"Passwort\", \"forgot_password\": \"Mot de passe perdu ?\", \"token\": \"Jeton\"}",
    ),
    (
        "json",
        "{\"type\": \"object\", \"properties\": {\"password\": {\"type\": \"string\", \"minLength\": 8}}}",
    ),
    ("json", "{\"nextPageToken\": \"CiAKGjBpNDd2Nmp2Zml2cXRwYjBpOXA\", \"kind\": \"list\"}"),
    ("json", "{\"added_tokens\": [{\"id\": 50256, \"content\": \"<|endoftext|>\", \"special\": true}]}"),
    (
        "json",
        "{\"pad_token\": \"[PAD]\", \"tokenizer_class\": \"PreTrainedTokenizerFast\", \"unk_token\": \"[UNK]\"}",
    ),
    (
        "json",
        "{\"Ġpassword\": 9206, \"Ġtoken\": 11241, \"Ġsecret\": 3200, \"sk\": 8135, \"AK\": 9421, \"ghp\": 19273}",
    ),
    (
        "json",
        "{\"lockfileVersion\": 3, \"integrity\": \"sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==\"}",
    ),
    (
        "json",
        "{\"commit\": \"4b825dc642cb6eb9a060e54bf8d69288fbee4904\", \"run_id\": \"6f1c2a34-9d0b-4a8e-bf5f-1c2d3e4f5a6b\"}",
    ),
    ("json", "{\"etag\": \"d41d8cd98f00b204e9800998ecf8427e\", \"size\": 0}"),
    (
        "toml",
        "[[package]]\nname = \"token\"\nchecksum = \"8c6a3d0e4d5f7b9a2c1e3f5a7b9c1d3e5f7a9b1c3d5e7f9a1b3c5d7e9f1a3b5c\"",
    ),
    ("toml", "password-file = \"/run/secrets/db_password\""),
    (
        "lock",
        "requests==2.31.0 --hash=sha256:58cd2187c01e70e6e26505bca751777aa9f2ee0b7f4300988b709f44e013003f",
    ),
    ("txt", "The password must be at least 12 characters; see the token section below."),
    ("txt", "Token: a unit of text. Secret: something not known. Key: what opens it."),
    ("txt", "d41d8cd98f00b204e9800998ecf8427e  empty.txt"),
    ("txt", "user: ada\npassword: ********"),
    ("txt", "Your new password: please choose one (min. 8 characters)"),
    ("txt", "uuid 550e8400-e29b-41d4-a716-446655440000 was assigned"),
    ("txt", "task-force-2024-annual-report-and-risk-assessment-for-the-disk-subsystem-v2-final"),
    ("txt", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1cQk3m8X0rT5yV7nB2pL4wE6sD9fG1hK3jM5nQ7tZ8 ada@laptop"),
    (
        "pem",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----",
    ),
    ("pem", "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----"),
    ("md", "Set `OPENAI_API_KEY` to your key: `export OPENAI_API_KEY=sk-...`"),
    (
        "md",
        "Use `AKIAIOSFODNN7EXAMPLE` and `wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY` as in the documentation.",
    ),
    ("md", "Connect with `postgres://user:password@localhost:5432/db`."),
    ("md", "Log in with `redis://default:<password>@host:6379`."),
    ("md", "| password | string | The password of the user (default: `none`) |"),
    ("md", "Tokens look like `ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`."),
    (
        "html",
        "<label for=\"password\">Password</label><input type=\"password\" name=\"password\" id=\"password2\">",
    ),
    ("html", "<meta name=\"csrf-token\" content=\"{{ csrf_token }}\">"),
    ("html", "<a href=\"https://example.org/reset?token={{token}}\">reset</a>"),
    ("xml", "<password>${env.DB_PASSWORD}</password>"),
    ("ini", "[auth]\npassword_hash_algorithm = pbkdf2_sha256\ntoken_expiry = 86400"),
    ("properties", "jwt.secret=${JWT_SECRET}\npassword.encoder=bcrypt10"),
    ("csv", "id,token,label\n1,running,VBG\n2,secret,NN\n3,password,NN"),
    ("csv", "time,key,value\n2024-01-01T00:00:00Z,loss,0.312\n2024-01-01T00:00:10Z,accuracy,0.91"),
    ("sql", "ALTER TABLE users ADD COLUMN password_hash VARCHAR(255) NOT NULL;"),
    ("sql", "CREATE INDEX token_idx ON tokens (token, created_at DESC);"),
    ("proto", "string access_token = 1; string refresh_token = 2;"),
    ("tf", "variable \"db_password\" { type = string, sensitive = true }"),
    ("tf", "password = var.db_password"),
    ("env.example", "DB_PASSWORD=\nAPI_KEY=your_api_key\nSECRET=change-me-please"),
    ("log", "2024-05-01 12:00:00 INFO step 1200 tokens/s 53124 loss 2.31 key projections frozen"),
    ("log", "GET https://example.org:8443/a/b?c=d#e@f HTTP/1.1 200 ssh://git@git.example.org/x"),
    (
        "jsonl",
        "{\"text\": \"How do I reset my password?\", \"tokens\": [50256, 15496, 11], \"key\": \"conv-00042\"}",
    ),
    ("jsonl", "{\"text\": \"def login(password):\\n    token = authenticate(password)\\n    return token\"}"),
];

/// Files with nothing to find.
pub fn negatives() -> Vec<Sample> {
    let mut r = Random::new(23);
    let mut samples = Vec::new();
    let mut add = |name: String, content: Vec<u8>| {
        samples.push(Sample { rule: "", name, content, secret: String::new() });
    };
    for (n, (suffix, line)) in LINES.iter().enumerate() {
        add(format!("lines/{n:03}.{suffix}"), format!("{line}\n").into_bytes());
    }
    let image = base64(r.bytes(30_000));
    add("plot.ipynb".into(), format!("{{\"cells\": [{{\"cell_type\": \"code\", \"source\": [\"plt.show()\"], \"outputs\": [{{\"data\": {{\"image/png\": \"{image}\"}}}}]}}], \"nbformat\": 4}}\n").into_bytes());
    let vocabulary: Vec<_> = (0..4000)
        .map(|n| {
            let len = 2 + n % 9;
            format!("    \"{}\": {n}", r.of(BASE64, len))
        })
        .collect();
    add(
        "tokenizer.json".into(),
        format!("{{\n  \"model\": {{\"vocab\": {{\n{}\n}}}}}}\n", vocabulary.join(",\n")).into_bytes(),
    );
    let merges: Vec<_> =
        (0..4000).map(|n| format!("{} {}", r.of(ALNUM, 1 + n % 5), r.of(ALNUM, 1 + n % 4))).collect();
    add("merges.txt".into(), merges.join("\n").into_bytes());
    let sums: Vec<_> = (0..300).map(|n| format!("{}  data/part-{n:05}.bin", r.of(HEX, 64))).collect();
    add("manifest-sha256.txt".into(), sums.join("\n").into_bytes());
    let commits: Vec<_> = (0..300).map(|n| format!("{} Change number {n}", r.of(HEX, 40))).collect();
    add("git-log.txt".into(), commits.join("\n").into_bytes());
    let ids: Vec<_> = (0..300)
        .map(|n| {
            format!(
                "{n},{}-{}-4{}-a{}-{}",
                r.of(HEX, 8),
                r.of(HEX, 4),
                r.of(HEX, 3),
                r.of(HEX, 3),
                r.of(HEX, 12)
            )
        })
        .collect();
    add("uuids.csv".into(), ids.join("\n").into_bytes());
    let sequences: Vec<_> = (0..50).map(|n| format!(">sample_{n}\n{}", r.of("ACGT", 400))).collect();
    add("sequences.fasta".into(), sequences.join("\n").into_bytes());
    let proteins: Vec<_> =
        (0..50).map(|n| format!(">protein_{n}\n{}", r.of("ACDEFGHIKLMNPQRSTVWY", 300))).collect();
    add("proteins.fasta".into(), proteins.join("\n").into_bytes());
    add("random.bin".into(), r.bytes(1 << 20));
    add("base64.txt".into(), base64(r.bytes(200_000)).into_bytes());
    let weights = (0..1 << 19).flat_map(|_| {
        let n = r.next();
        [(n >> 20) as u8, [0x3c, 0xbc, 0x3d, 0xbd][(n >> 40) as usize % 4]]
    });
    add("model.bf16".into(), weights.collect());
    let rows: Vec<_> = (0..5000)
        .map(|_| format!("{},{}", r.next() % 1000, f64::from((r.next() >> 40) as u32) / 1e6))
        .collect();
    add("table.csv".into(), rows.join("\n").into_bytes());
    let smiles: Vec<_> = (0..300).map(|_| r.of("CNO()=1c2", 40)).collect();
    add("molecules.smi".into(), smiles.join("\n").into_bytes());
    samples
}
