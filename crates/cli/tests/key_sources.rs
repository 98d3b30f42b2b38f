//! Keys that are not in files: SSH agents, PKCS #11 tokens, programs; and what consign's home says about them. The
//! agent is OpenSSH's, the token SoftHSM.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundles::descriptor;
use insta::assert_snapshot;
use serde_json::Value;
use support::{Desk, consign, written_down};

/// A desk with something to pack.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("source/data.txt", "data\n");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk
}

fn run(desk: &Desk, program: &str, arguments: &[&str]) -> String {
    let output = desk.program(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("these tests need `{program}`: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", written_down(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Writes into consign's home, as `consign` would make it.
fn write_home(desk: &Desk, name: &str, text: &str) -> PathBuf {
    fs::create_dir_all(desk.home()).unwrap();
    chmod(&desk.home(), 0o700);
    let path = desk.home().join(name);
    fs::write(&path, text).unwrap();
    chmod(&path, 0o644);
    path
}

/// Runs `consign` with more environment than a desk has.
fn consign_with(desk: &Desk, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = desk.consign(arguments.iter().copied());
    command.envs(environment.iter().copied()).output().unwrap()
}

/// What several commands say, one after the other.
fn transcripts(desk: &Desk, environment: &[(&str, &str)], commands: &[&[&str]]) -> String {
    let one = |command: &&[&str]| {
        let output = consign_with(desk, environment, command);
        let command = command.join(" ").replace('\u{202e}', "[RLO]");
        format!("$ consign {command}\n{}", written_down(&output))
    };
    commands.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", written_down(output)))
}

/// Packs, seals and signs with a key, and verifies all under the public key that its card shows.
fn sign_everywhere(desk: &Desk, environment: &[(&str, &str)], key: &str) -> Value {
    let card = json(&consign_with(desk, environment, &["id", "--key", key, "--json"]));
    let public = card["result"]["openssh"].as_str().unwrap_or_else(|| panic!("{card}")).to_owned();
    let packed =
        json(&consign_with(desk, environment, &["pack", "source", "-o", "out", "--key", key, "--json"]));
    assert_eq!(packed["exit"], 0, "{packed}");
    assert_eq!(packed["result"]["signer"]["fingerprint"], card["result"]["fingerprint"]);
    let sign = ["sign", "out", "--key", key, "--role", "release", "--yes"];
    let signed = consign_with(desk, environment, &sign);
    assert!(signed.status.success(), "{}", written_down(&signed));
    let sealed = consign_with(
        desk,
        &[&[("CONSIGN_KEY", key)], environment].concat(),
        &["seal", "source", "-o", "seal"],
    );
    assert!(sealed.status.success(), "{}", written_down(&sealed));
    desk.succeed(["verify", "out", "--key", &public]);
    let verified = desk.json(["verify", "out", "--key", &public]);
    assert_eq!(verified["exit"], 0);
    desk.succeed(["verify", "source", "--manifest", "seal/small-1.0.0.manifest.json", "--key", &public]);
    packed["result"]["signer"]["key"].clone()
}

/// An agent of OpenSSH, for as long as the value lives.
struct Agent {
    process: Child,
    socket: String,
}

impl Agent {
    fn start(desk: &Desk) -> Self {
        let socket = desk.path("agent.socket");
        let process = std::process::Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("these tests need `ssh-agent`: {e}"));
        let begin = Instant::now();
        while !socket.exists() {
            assert!(begin.elapsed() < Duration::from_secs(30), "ssh-agent does not start");
            sleep(Duration::from_millis(20));
        }
        Self { process, socket: socket.display().to_string() }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [("SSH_AUTH_SOCK", &self.socket)]
    }

    /// `ssh-add`, which must succeed.
    fn add(&self, desk: &Desk, arguments: &[&str]) {
        let output = desk.program("ssh-add").args(arguments).envs(self.environment()).output().unwrap();
        assert!(output.status.success(), "{}", written_down(&output));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ssh_key(desk: &Desk, name: &str, kind: &str) -> String {
    run(desk, "ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", &format!("{name}@example.org"), "-f", name]);
    run(desk, "ssh-keygen", &["-lf", name]).split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn an_agent_signs() {
    let desk = desk();
    let agent = Agent::start(&desk);
    let fingerprint = ssh_key(&desk, "ada", "ed25519");
    ssh_key(&desk, "rsa", "rsa");
    agent.add(&desk, &["-q", "rsa"]);
    agent.add(&desk, &["-q", "ada"]);
    // The key itself is in the agent alone.
    fs::remove_file(desk.path("ada")).unwrap();
    let key = sign_everywhere(&desk, &agent.environment(), &format!("ssh-agent:{fingerprint}"));
    assert_eq!(key, serde_json::json!({"kind": "ssh-agent", "comment": "ada@example.org"}));
    let groups = desk.json(["id", "--key", "ada.pub"])["result"]["groups"].as_str().unwrap().to_owned();
    for named in ["ssh-agent:ada.pub".to_owned(), format!("ssh-agent:{groups}")] {
        let again =
            consign_with(&desk, &agent.environment(), &["pack", "source", "-o", "again", "--key", &named]);
        assert!(again.status.success(), "{}", written_down(&again));
        fs::remove_dir_all(desk.path("again")).unwrap();
    }
    let pack = ["pack", "source", "-o", "third", "--key", "ssh-agent:ada.pub"];
    assert_snapshot!("an_agent_signs", written_down(&consign_with(&desk, &agent.environment(), &pack)));
}

#[test]
fn what_an_agent_cannot_do_is_explained() {
    let desk = desk();
    let agent = Agent::start(&desk);
    let environment = agent.environment();
    let fingerprint = ssh_key(&desk, "ada", "ed25519");
    let rsa = ssh_key(&desk, "rsa", "rsa");
    let absent = ssh_key(&desk, "absent", "ed25519");
    let ada = format!("ssh-agent:{fingerprint}");
    let pack =
        |key: &str| transcripts(&desk, &environment, &[&["pack", "source", "-o", "out", "--key", key]]);
    let mut all = vec![
        desk.transcript(["pack", "source", "-o", "out", "--key", &ada]),
        pack("ssh-agent:"),
        pack("ssh-agent:SHA256:abc"),
        pack("ssh-agent:MD5:00:11"),
        pack("ssh-agent:ada@example.org"),
        pack(&ada),
    ];
    agent.add(&desk, &["-q", "rsa"]);
    agent.add(&desk, &["-q", "-c", "ada"]);
    all.push(pack(&format!("ssh-agent:{absent}")));
    all.push(pack(&format!("ssh-agent:{rsa}")));
    all.push(pack("ssh-agent:rsa.pub"));
    // The agent asks for confirmation, and there is nobody to ask.
    all.push(pack(&ada));
    desk.write("sk.pub", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t t\n");
    all.push(pack("ssh-agent:sk.pub"));
    // Locked, an agent of OpenSSH says that it holds nothing.
    let lock = "printf 'word' > word; printf '#!/bin/sh\\ncat word\\n' > ask; chmod +x ask; \
                SSH_ASKPASS=./ask SSH_ASKPASS_REQUIRE=force ssh-add -q -x";
    let locked = desk.program("sh").args(["-c", lock]).envs(environment).output().unwrap();
    assert!(locked.status.success(), "{}", written_down(&locked));
    all.push(pack(&ada));
    let socket = desk.path("nobody").display().to_string();
    drop(UnixListener::bind(&socket).unwrap());
    all.push(transcripts(
        &desk,
        &[("SSH_AUTH_SOCK", &socket)],
        &[&["pack", "source", "-o", "out", "--key", &ada], &["id", "--key", &ada]],
    ));
    assert_snapshot!(all.join("\n"));
    assert!(!desk.path("out/small-1.0.0.tar.zst").exists());
}

/// SoftHSM, with tokens in a folder of the desk.
struct SoftHsm<'a> {
    desk: &'a Desk,
    config: String,
    module: &'static str,
}

// Put together here, so that nobody takes them for the PIN of anything.
const PIN: [&str; 2] = ["90", "4512"];

fn pin() -> String {
    PIN.concat()
}

impl<'a> SoftHsm<'a> {
    fn new(desk: &'a Desk) -> Self {
        let module = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
        let module = module.into_iter().find(|path| Path::new(path).exists());
        fs::create_dir(desk.path("tokens")).unwrap();
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            desk.path("tokens").display()
        );
        let config = desk.write("softhsm2.conf", config).display().to_string();
        desk.write("pin", pin() + "\n");
        chmod(&desk.path("pin"), 0o600);
        Self { desk, config, module: module.expect("these tests need SoftHSM (Debian: softhsm2)") }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [("SOFTHSM2_CONF", &self.config)]
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.desk.program(program).args(arguments).envs(self.environment()).output();
        let output = output.unwrap_or_else(|e| panic!("these tests need `{program}`: {e}"));
        assert!(output.status.success(), "{program} {arguments:?}: {}", written_down(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn token(&self, label: &str) {
        let so_pin = pin().repeat(2);
        self.run(
            "softhsm2-util",
            &["--init-token", "--free", "--label", label, "--so-pin", &so_pin, "--pin", &pin()],
        );
    }

    fn tool(&self, token: &str, arguments: &[&str]) -> String {
        let pin = pin();
        let login = ["--module", self.module, "--token-label", token, "--login", "--pin", &pin];
        self.run("pkcs11-tool", &[&login, arguments].concat())
    }

    fn key(&self, token: &str, kind: &str, label: &str, id: &str) {
        self.tool(token, &["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
    }

    /// A URI with module and PIN.
    fn uri(&self, path: &str) -> String {
        let pin = self.desk.path("pin");
        format!("pkcs11:{path}?module-path={}&pin-source=file:{}", self.module, pin.display())
    }
}

/// What differs from run to run in what SoftHSM says.
fn with_serials_hidden() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"serial number [0-9a-f]{16}", "serial number [SERIAL]");
    settings.add_filter(r"slot \d+", "slot [SLOT]");
    settings.add_filter(r"serial=[0-9a-f]{16}", "serial=[SERIAL]");
    settings.bind_to_scope()
}

#[test]
fn a_token_signs() {
    let desk = desk();
    let hsm = SoftHsm::new(&desk);
    hsm.token("release keys");
    hsm.key("release keys", "EC:edwards25519", "ada", "a1b2");
    hsm.key("release keys", "rsa:2048", "rsa", "03");
    let key = sign_everywhere(&desk, &hsm.environment(), &hsm.uri("token=release%20keys;object=ada"));
    assert_eq!((key["kind"].as_str(), key["token"].as_str()), (Some("pkcs11"), Some("release keys")));
    assert_eq!((key["label"].as_str(), key["id"].as_str()), (Some("ada"), Some("a1b2")));

    // The card shows the point that pkcs11-tool sees, and asks for no PIN.
    let listed = hsm.tool("release keys", &["--list-objects", "--type", "pubkey", "--label", "ada"]);
    let point =
        listed.split("0420").nth(1).and_then(|rest| rest.get(..64)).unwrap_or_else(|| panic!("{listed}"));
    let uri = format!("pkcs11:object=ada?module-path={}", hsm.module);
    let card = json(&consign_with(&desk, &hsm.environment(), &["id", "--key", &uri, "--json"]));
    let line = card["result"]["openssh"].as_str().unwrap_or_else(|| panic!("{card}"));
    let wire = STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
    let hex: String = wire[wire.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, point);

    // The module may stand in the home, the PIN in a file or come through a descriptor.
    write_home(&desk, "config.toml", &format!("format = 1\n[pkcs11]\nmodule = \"{}\"\n", hsm.module));
    let serial = key["serial"].as_str().unwrap();
    let short = format!("pkcs11:serial={serial};id=%a1%b2;type=private");
    let pack = |more: &[&str]| {
        let pack = ["pack", "source", "-o", "again", "--key", &short];
        let output = desk
            .consign(pack.iter().chain(more).copied())
            .envs(hsm.environment())
            .write_stdin(pin())
            .output()
            .unwrap();
        let _ = fs::remove_dir_all(desk.path("again"));
        output
    };
    assert!(pack(&["--passphrase-file", "pin"]).status.success());
    let _filters = with_serials_hidden();
    assert_snapshot!("a_token_signs", written_down(&pack(&["--passphrase-fd", "0"])));
}

#[test]
fn what_a_token_cannot_do_is_explained() {
    let desk = desk();
    let hsm = SoftHsm::new(&desk);
    for label in ["one", "twin", "twin"] {
        hsm.token(label);
    }
    hsm.key("one", "EC:edwards25519", "ada", "01");
    hsm.key("one", "EC:edwards25519", "double", "02");
    hsm.key("one", "EC:edwards25519", "double", "03");
    hsm.key("one", "rsa:2048", "rsa", "04");
    hsm.key("one", "EC:prime256v1", "ecdsa", "05");
    desk.write("wrong", format!("{}9\n", pin()));
    desk.write("open", "123456\n");
    desk.write("two-lines", "1234\n5678\n");
    desk.write("library.so", "this is none\n");
    for (name, mode) in [("wrong", 0o600), ("open", 0o644), ("two-lines", 0o600)] {
        chmod(&desk.path(name), mode);
    }
    let at = |name: &str| desk.path(name).display().to_string();
    let module = |path: &str| format!("pkcs11:token=one;object=ada?module-path={path}");
    let with_pin = |name: &str| format!("{}&pin-source=file:{}", module(hsm.module), at(name));
    let shared = fs::canonicalize(desk.dir()).unwrap().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::copy(hsm.module, shared.join("module.so")).unwrap();
    chmod(&shared, 0o777);
    let mut all = String::new();
    for key in [
        hsm.uri("token=none;object=ada"),
        hsm.uri("object=ada"),
        hsm.uri("token=twin"),
        hsm.uri("token=one;object=none"),
        hsm.uri("token=one;object=ada;id=%02"),
        hsm.uri("token=one;object=double"),
        hsm.uri("token=one"),
        hsm.uri("token=one;object=rsa"),
        hsm.uri("token=one;object=ecdsa"),
        hsm.uri("slot-id=4294967295"),
        module(hsm.module),
        with_pin("wrong"),
        with_pin("open"),
        with_pin("two-lines"),
        with_pin("missing"),
        "pkcs11:token=one;object=ada".into(),
        module("softhsm2.so"),
        module("/nowhere/library.so"),
        module(&at("library.so")),
        module(&shared.join("module.so").display().to_string()),
        format!("PKCS11:object=ada?pin-value={}", pin()),
        format!("pkcs11:object=ada?pin-value={}", pin()),
        "pkcs11:objekt=ada".into(),
    ] {
        let pack = ["pack", "source", "-o", "out", "--key", &key];
        all.push_str(&transcripts(&desk, &hsm.environment(), &[&pack]).replace(&pin(), "[PIN]"));
        all.push('\n');
    }
    all.push_str(&transcripts(
        &desk,
        &hsm.environment(),
        &[&["id", "--key", &hsm.uri("token=one;object=double")]],
    ));
    let _filters = with_serials_hidden();
    assert_snapshot!(all);
}

#[test]
fn e18_a_public_key_of_another_pair_is_found_out() {
    let desk = desk();
    let hsm = SoftHsm::new(&desk);
    hsm.token("one");
    hsm.key("one", "EC:edwards25519", "ada", "01");
    hsm.key("one", "EC:edwards25519", "eve", "02");
    // The public key of one takes the place of the other's.
    hsm.tool("one", &["--delete-object", "--type", "pubkey", "--id", "01"]);
    hsm.tool("one", &["--delete-object", "--type", "privkey", "--id", "02"]);
    let swap = ["--set-id", "01", "--id", "02", "--type", "pubkey"];
    hsm.tool("one", &swap);
    let pack = ["pack", "source", "-o", "out", "--key", &hsm.uri("token=one;object=ada")];
    let _filters = with_serials_hidden();
    assert_snapshot!(transcripts(&desk, &hsm.environment(), &[&pack]));
    assert!(!desk.path("out/small-1.0.0.tar.zst").exists());
    // Two public keys for one private key: neither is taken.
    hsm.key("one", "EC:edwards25519", "third", "01");
    hsm.tool("one", &["--delete-object", "--type", "privkey", "--label", "third"]);
    let output = consign_with(&desk, &hsm.environment(), &pack);
    assert!(written_down(&output).contains("several different public keys"), "{}", written_down(&output));
}

/// A program that signs with OpenSSL and the key in its first argument.
const SIGN: &str =
    "t=$(mktemp) && cat > \"$t\" && openssl pkeyutl -sign -rawin -inkey \"$1\" -in \"$t\" && rm \"$t\"";

/// Puts a program there, as nobody else can change it.
fn program(desk: &Desk, name: &str, script: &str) -> String {
    let path = desk.write(name, format!("#!/bin/sh\n{script}\n"));
    chmod(&path, 0o755);
    fs::canonicalize(path).unwrap().display().to_string()
}

/// An entry of config.toml; `more` are lines of it.
fn signer(desk: &Desk, name: &str, program: &str, args: &[&str], public_key: &str, more: &str) -> String {
    let public_key = desk.json(["id", "--key", public_key])["result"]["openssh"].to_string();
    format!(
        "\n[[signer]]\nname = \"{name}\"\nprogram = \"{program}\"\nargs = {args:?}\npublic_key = {public_key}\n{more}\n"
    )
}

#[test]
fn a_program_signs() {
    let desk = desk();
    desk.key("ada");
    let key = desk.path("ada").display().to_string();
    let program = program(&desk, "signer", SIGN);
    let entry = signer(&desk, "release", &program, &[&key], "ada.pub", "");
    write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    let kept = sign_everywhere(&desk, &[], "exec:release");
    assert_eq!(kept, serde_json::json!({"kind": "program", "name": "release", "program": program}));
    let by_path = format!("exec:{program}");
    assert_snapshot!(
        "a_program_signs",
        desk.transcript(["pack", "source", "-o", "again", "--key", &by_path])
    );
}

#[test]
fn a24_a_program_is_run_only_if_it_is_listed_and_safe() {
    let desk = desk();
    desk.key("ada");
    desk.key("eve");
    let key = desk.path("ada").display().to_string();
    let sign = program(&desk, "signer", SIGN);
    let failing = program(&desk, "failing", "echo 'permission denied: \u{202e}policy' >&2; exit 7");
    let endless = program(&desk, "endless", "echo 'waiting for approval' >&2; sleep 300");
    let talking = program(&desk, "talking", "echo signature:; yes | head -c 100000");
    let shared = program(&desk, "shared/signer", SIGN);
    chmod(&desk.path("shared"), 0o777);
    let entry = |name: &str, program: &str, public: &str| signer(&desk, name, program, &[&key], public, "");
    let config = [
        entry("release", &sign, "ada.pub"),
        entry("again", &sign, "ada.pub"),
        entry("other-key", &sign, "eve.pub").replace(&sign, &program(&desk, "signer2", SIGN)),
        entry("failing", &failing, "ada.pub"),
        signer(&desk, "endless", &endless, &[], "ada.pub", "timeout_seconds = 3"),
        entry("talking", &talking, "ada.pub"),
        entry("shared", &shared, "ada.pub"),
        entry("gone", "/nowhere/signer", "ada.pub"),
    ];
    write_home(&desk, "config.toml", &format!("format = 1\n{}", config.concat()));
    let mut all = String::new();
    for key in [
        "exec:",
        "exec:none",
        "exec:signer",
        "exec:./signer",
        "exec:../desk/signer",
        "exec:/bin/sh",
        "exec:/bin/sh -c id",
        "exec:release;id",
        "exec:release\u{202e}",
        "exec:$(id)",
        "exec:RELEASE",
        &format!("exec:{sign}"),
        &format!("exec:{}/../signer", desk.path("shared").display()),
        "exec:other-key",
        "exec:failing",
        "exec:endless",
        "exec:talking",
        "exec:shared",
        "exec:gone",
    ] {
        all.push_str(&transcripts(&desk, &[], &[&["pack", "source", "-o", "out", "--key", key]]));
        all.push('\n');
    }
    assert_snapshot!(all);
    assert!(!desk.path("out/small-1.0.0.tar.zst").exists());
}

#[test]
fn a_home_that_is_wrong_is_explained() {
    let desk = desk();
    desk.key("ada");
    let text = "format = 1\nsinger = 1\n\n[[signer]]\nname = \"../x\"\nprogram = \"vault\"\nenvironment = [\"PATH\"]\n";
    let config = write_home(&desk, "config.toml", text);
    let pack = &["pack", "source", "-o", "out", "--key", "exec:release"][..];
    let mut all = vec![transcripts(&desk, &[], &[pack])];
    fs::write(&config, "format = 1\nformat = 2\n").unwrap();
    all.push(transcripts(&desk, &[], &[pack]));
    fs::write(&config, b"\xff").unwrap();
    all.push(transcripts(&desk, &[], &[pack]));
    fs::remove_file(&config).unwrap();
    all.push(transcripts(
        &desk,
        &[],
        &[pack, &["pack", "source", "-o", "out", "--key", "pkcs11:object=ada"]],
    ));
    assert_snapshot!(all.join("\n"));
}

#[test]
fn g10_what_decides_is_read_from_the_home_alone() {
    let desk = desk();
    desk.key("eve");
    desk.succeed(["pack", "source", "-o", "out", "--key", "eve"]);
    let key = desk.path("eve").display().to_string();
    let sign = program(&desk, "signer", &format!("touch '{}'; {SIGN}", desk.path("ran").display()));
    let config = format!(
        "format = 1\n[pkcs11]\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\n{}",
        signer(&desk, "release", &sign, &[&key], "eve.pub", "")
    );
    let card = desk.json(["id", "--key", "eve.pub"]);
    let trust = format!(
        "format = 1\n[[key]]\nname = \"eve\"\npublic_key = {}\nroles = [\"owner\"]\n",
        card["result"]["openssh"]
    );
    // Where the command runs, in the directory that is packed, beside the bundle.
    for folder in ["", "source/", "out/", ".consign/", "consign/", ".config/consign/", "home/"] {
        for (name, text) in [("config.toml", &config), ("consign.toml", &config), ("trust.toml", &trust)] {
            desk.write(&format!("{folder}{name}"), text);
        }
    }
    fs::remove_dir_all(desk.path("source")).unwrap();
    desk.write("source/data.txt", "data\n");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("source/config.toml", &config);
    let code = |arguments: &[&str]| desk.json(arguments.iter().copied())["problems"][0]["code"].to_string();
    let pack = |key: &str| code(&["pack", "source", "-o", "new", "--key", key]);
    assert_eq!(pack("exec:release"), "\"signer-unknown\"");
    assert_eq!(pack(&format!("exec:{sign}")), "\"signer-unknown\"");
    assert_eq!(pack("pkcs11:object=ada"), "\"pkcs11-module\"");
    assert_eq!(code(&["verify", "out/small-1.0.0.tar.zst"]), "\"not-trusted\"");
    assert!(!desk.path("ran").exists());
    // In the home they count.
    write_home(&desk, "config.toml", &config);
    write_home(&desk, "trust.toml", &trust);
    desk.succeed(["pack", "source", "-o", "new", "--key", "exec:release"]);
    assert!(desk.path("ran").exists());
    desk.succeed(["verify", "out/small-1.0.0.tar.zst"]);
}

#[test]
fn g10_a_home_that_others_can_write_is_not_relied_upon() {
    let desk = desk();
    desk.key("ada");
    desk.succeed(["pack", "source", "-o", "out", "--key", "ada"]);
    let key = desk.path("ada").display().to_string();
    let sign = program(&desk, "signer", SIGN);
    let entry = signer(&desk, "release", &sign, &[&key], "ada.pub", "");
    let config = write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    let card = desk.json(["id", "--key", "ada.pub"]);
    let fingerprint = card["result"]["fingerprint"].as_str().unwrap();
    desk.succeed(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", fingerprint]);
    let trust = desk.home().join("trust.toml");
    let pack = &["pack", "source", "-o", "new", "--key", "exec:release"][..];
    let commands = &[pack, &["verify", "out"], &["trust", "list"], &["id", "--key", "ada.pub"]][..];
    let mut all = String::new();
    for (path, safe) in [(&config, 0o644), (&trust, 0o644), (&desk.home(), 0o700)] {
        chmod(path, 0o664);
        if path.is_dir() {
            chmod(path, 0o770);
        }
        all.push_str(&format!("# others can write {}\n", path.file_name().unwrap().display()));
        all.push_str(&transcripts(&desk, &[], commands));
        all.push('\n');
        chmod(path, safe);
    }
    assert_snapshot!(all);
    // A file that the caller names is the caller's business.
    chmod(&trust, 0o666);
    desk.succeed(["verify", "out", "--trust", &trust.display().to_string()]);
    chmod(&trust, 0o644);
    desk.succeed(["verify", "out"]);
    desk.succeed(pack.iter().copied());
    // Links lead there as well, and are judged by where they lead.
    let shared = desk.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::rename(&trust, shared.join("trust.toml")).unwrap();
    std::os::unix::fs::symlink(shared.join("trust.toml"), &trust).unwrap();
    desk.succeed(["verify", "out"]);
    chmod(&shared, 0o777);
    assert_eq!(desk.json(["verify", "out"])["problems"][0]["code"], "writable-by-others");
}

#[test]
fn g9_keys_and_pins_that_others_can_read_are_refused() {
    let desk = desk();
    desk.key("ada");
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("ada"), 0o600);
    for bits in [0o640, 0o604, 0o660] {
        chmod(&desk.path("ada"), bits);
        let refused = desk.json(["pack", "source", "-o", "out", "--key", "ada"]);
        assert_eq!(refused["problems"][0]["code"], "key-file-exposed", "{bits:o}");
    }
    let hsm = SoftHsm::new(&desk);
    hsm.token("one");
    hsm.key("one", "EC:edwards25519", "ada", "01");
    for bits in [0o640, 0o604, 0o666] {
        chmod(&desk.path("pin"), bits);
        let pack = ["pack", "source", "-o", "out", "--key", &hsm.uri("object=ada"), "--json"];
        let refused = json(&consign_with(&desk, &hsm.environment(), &pack));
        assert_eq!(refused["problems"][0]["code"], "key-file-exposed", "{bits:o}");
    }
}

/// Everything that a command shows: its output, and what others can see of it while it runs.
#[test]
fn no_secret_shows_anywhere() {
    let desk = desk();
    let secret = ["correct", "horse", "battery"].join("-");
    desk.write("passphrase", format!("{secret}\n"));
    desk.write("wrong", format!("{secret}-wrong\n"));
    desk.succeed(["keygen", "-o", "ada", "--passphrase-file", "passphrase"]);
    desk.key("plain");
    let plain = desk.read("plain");
    let plain = plain.lines().nth(1).unwrap().to_owned();
    let hsm = SoftHsm::new(&desk);
    hsm.token("one");
    hsm.key("one", "EC:edwards25519", "ada", "01");
    hsm.key("one", "rsa:2048", "rsa", "02");
    let damaged = desk.read("ada").replace("MIG", "MIH");
    desk.write("damaged", damaged);
    desk.write("cut", &desk.read("plain")[..60]);
    for name in ["wrong", "damaged", "cut", "passphrase"] {
        chmod(&desk.path(name), 0o600);
    }
    // A program that writes down what it sees of itself, of who started it, and of the environment.
    let seen = desk.path("seen").display().to_string();
    let spy = format!("{{ cat /proc/$$/cmdline /proc/$PPID/cmdline; env; cat; }} >> '{seen}'; exit 3");
    let spy = program(&desk, "spy", &spy);
    let entry = signer(&desk, "spy", &spy, &[], "plain.pub", "environment = [\"TOKEN\"]");
    write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    let agent = Agent::start(&desk);
    let module = hsm.module;
    let wrong_pin = desk.write("wrong-pin", format!("{}9\n", pin()));
    chmod(&wrong_pin, 0o600);
    let environment =
        [("SOFTHSM2_CONF", hsm.config.as_str()), ("SSH_AUTH_SOCK", &agent.socket), ("OTHER", &secret)];
    let pin_in_uri = format!("pkcs11:object=ada?pin-value={}", pin());
    let upper = format!("PKCS11:object=ada?PIN-VALUE={}", pin());
    let misplaced = format!("pkcs11:object=ada?pin-source={}", pin());
    let wrong = format!("pkcs11:object=ada?module-path={module}&pin-source=file:{}", wrong_pin.display());
    let (right, rsa) = (hsm.uri("object=ada"), hsm.uri("object=rsa"));
    let mut shown = String::new();
    for (key, more) in [
        ("ada", &["--passphrase-file", "wrong"][..]),
        ("ada", &["--passphrase-file", "passphrase", "--role", "?"]),
        ("ada", &[]),
        ("damaged", &["--passphrase-file", "passphrase"]),
        ("cut", &[]),
        ("passphrase", &[]),
        ("plain", &["--level", "77"]),
        ("exec:spy", &["--passphrase-file", "passphrase"]),
        ("ssh-agent:plain.pub", &[]),
        (&pin_in_uri, &[]),
        (&upper, &[]),
        (&misplaced, &[]),
        (&wrong, &[]),
        (&rsa, &[]),
        (&right, &["--unknown"]),
        (&right, &["--passphrase-file", "wrong"]),
        (&pin_in_uri, &["--unsigned"]),
    ] {
        for json in [&[][..], &["--json"]] {
            let all = [&["pack", "source", "-o", "out", "--key", key], more, json].concat();
            shown.push_str(&written_down(&consign_with(&desk, &environment, &all)));
            let set = [&environment[..], &[("CONSIGN_KEY", key)]].concat();
            let all = [&["sign", "out"], more, json].concat();
            shown.push_str(&written_down(&consign_with(&desk, &set, &all)));
            shown.push_str(&written_down(&consign_with(&desk, &set, &["pack", "--help"])));
        }
    }
    let seen = String::from_utf8_lossy(&fs::read(&seen).unwrap()).into_owned();
    assert!(shown.contains("WrongPin") || shown.contains("wrong-pin"), "{shown}");
    assert!(seen.contains("exec:spy") && seen.contains("DSSEv1"), "{seen}");
    for (what, text) in [("output", &shown), ("what a program sees", &seen)] {
        for secret in [&secret, &pin(), &plain] {
            assert!(!text.contains(secret.as_str()), "{secret} in {what}: {text}");
        }
    }
}

/// A folder with programs that stand for others, before the real ones on the search path of a copied script.
fn with_fake(desk: &Desk, script: &str, fake: &str, text: &str) -> String {
    program(desk, &format!("fakes/{fake}"), text);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/signers").join(script);
    let example = fs::read_to_string(example).unwrap();
    let body = example.strip_prefix("#!/bin/sh\n").unwrap();
    let path = format!("PATH={}:$PATH", fs::canonicalize(desk.path("fakes")).unwrap().display());
    program(desk, script, &format!("{path}\n{body}"))
}

#[test]
fn the_example_for_vault_signs() {
    let desk = desk();
    desk.key("ada");
    let key = desk.path("ada").display().to_string();
    let signature = format!(
        "t=$(mktemp); base64 -d > \"$t\"; openssl pkeyutl -sign -rawin -inkey '{key}' -in \"$t\" | base64 -w 0; rm \"$t\""
    );
    // As `vault write` answers, with the arguments that it would demand.
    let vault = format!(
        "[ \"$*\" = 'write -field=signature transit/sign/release input=- key_version=2' ] || {{ echo \"$*\" >&2; exit 2; }}\n\
         [ \"$VAULT_ADDR\" = https://vault.example ] || {{ echo 'Error: no address' >&2; exit 2; }}\n\
         printf 'vault:v%s:%s' \"${{FAKE_VERSION:-2}}\" \"$({signature})\""
    );
    let script = with_fake(&desk, "vault-transit", "vault", &vault);
    let more = "environment = [\"VAULT_ADDR\", \"VAULT_TOKEN\", \"FAKE_VERSION\"]";
    let entry = signer(&desk, "vault", &script, &["transit", "release", "2"], "ada.pub", more);
    write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    let environment = [("VAULT_ADDR", "https://vault.example")];
    sign_everywhere(&desk, &environment, "exec:vault");
    let pack = ["pack", "source", "-o", "new", "--key", "exec:vault"];
    let refused = consign_with(&desk, &[], &pack);
    assert!(written_down(&refused).contains("it said: Error: no address"), "{}", written_down(&refused));
    let rotated = consign_with(&desk, &[environment[0], ("FAKE_VERSION", "3")], &pack);
    assert!(written_down(&rotated).contains("not a signature by version 2"), "{}", written_down(&rotated));
}

#[test]
fn the_example_for_aws_kms_signs() {
    let desk = desk();
    desk.key("ada");
    let key = desk.path("ada").display().to_string();
    let aws = format!(
        "[ \"$1 $2 $3 $4 $5\" = 'kms sign --key-id alias/release --message' ] || exit 2\n\
         file=${{6#fileb://}}; shift 6\n\
         [ \"$*\" = '--message-type RAW --signing-algorithm ED25519_SHA_512 --output text --query Signature' ] || exit 2\n\
         openssl pkeyutl -sign -rawin -inkey '{key}' -in \"$file\" | base64 -w 0; echo"
    );
    let script = with_fake(&desk, "aws-kms", "aws", &aws);
    let entry = signer(&desk, "kms", &script, &["alias/release"], "ada.pub", "");
    write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    sign_everywhere(&desk, &[], "exec:kms");
    // More than KMS takes is not sent.
    let long = desk.program(&script).arg("alias/release").write_stdin(vec![b'x'; 4097]).output().unwrap();
    assert!(written_down(&long).contains("at most 4096"), "{}", written_down(&long));
    assert!(long.stdout.is_empty() && !long.status.success());
}

#[test]
fn a_new_key_takes_over_from_an_old_one() {
    let desk = desk();
    desk.write("passphrase", "correct horse\n");
    desk.succeed(["keygen", "-o", "ada-2026", "--passphrase-file", "passphrase"]);
    let before = (desk.read("ada-2026"), desk.read("ada-2026.pub"));
    let card = desk.json(["id", "--key", "ada-2026.pub"]);
    let fingerprint = card["result"]["fingerprint"].as_str().unwrap();
    let add = ["trust", "add", "ada-2026", "--key", "ada-2026.pub", "--owner", "Ada", "--role", "release"];
    desk.succeed(add.into_iter().chain(["--fingerprint", fingerprint]));
    let rotate = ["keygen", "-o", "ada-2027", "--rotate", "ada-2026", "--no-passphrase"];
    assert_snapshot!("rotated", desk.transcript(rotate));
    assert_snapshot!("rotated.toml", desk.read("ada-2027.trust.toml"));
    assert_eq!(before, (desk.read("ada-2026"), desk.read("ada-2026.pub")));
    // What was written is a trust file.
    desk.succeed(["pack", "source", "-o", "out", "--key", "ada-2027", "--role", "release"]);
    desk.succeed(["verify", "out", "--trust", "ada-2027.trust.toml"]);
    // A key that nobody listed, one of an agent, names that are taken, and things that are no keys.
    desk.key("eve");
    fs::remove_file(desk.path("eve.pub")).unwrap();
    ssh_key(&desk, "ben", "ed25519");
    desk.write("x.trust.toml", "");
    let agent = Agent::start(&desk);
    agent.add(&desk, &["-q", "ben"]);
    let keygen =
        |new: &'static str, old: &'static str| ["keygen", "--no-passphrase", "-o", new, "--rotate", old];
    let commands = [
        keygen("new", "ben.pub"),
        keygen("newer", "ssh-agent:ben.pub"),
        keygen("x", "ben.pub"),
        keygen("y", "eve"),
        keygen("y", "missing"),
        keygen("y", "exec:none"),
    ];
    let commands: Vec<&[&str]> = commands.iter().map(|command| &command[..]).collect();
    assert_snapshot!("rotated_otherwise", transcripts(&desk, &agent.environment(), &commands));
    assert!(!desk.path("x").exists() && !desk.path("y").exists());
    let same = desk.json(["keygen", "--no-passphrase", "-o", "other/ada-2026", "--rotate", "ada-2026"]);
    assert_eq!(same["problems"][0]["code"], "no-directory");
    fs::create_dir(desk.path("other")).unwrap();
    let same = desk.json(["keygen", "--no-passphrase", "-o", "other/ada-2026", "--rotate", "ada-2026"]);
    assert_eq!(same["result"]["rotation"]["old_name"], "ada-2026");
    assert!(desk.read("other/ada-2026.trust.toml").contains("name = \"ada-2026-2\""));
}

#[test]
fn the_program_itself_is_not_mistaken_for_a_secret() {
    // The other half of `no_secret_shows_anywhere`: its way of looking does find what is there.
    let desk = desk();
    desk.key("plain");
    let seen = desk.path("seen").display().to_string();
    let spy = program(&desk, "spy", &format!("{{ cat /proc/$PPID/cmdline; env; }} > '{seen}'; exit 3"));
    let entry = signer(&desk, "spy", &spy, &[], "plain.pub", "environment = [\"TOKEN\"]");
    write_home(&desk, "config.toml", &format!("format = 1\n{entry}"));
    let pack = ["pack", "source", "-o", "out", "--key", "exec:spy"];
    consign_with(&desk, &[("TOKEN", "passed on"), ("OTHER", "kept back")], &pack);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains(&consign().display().to_string()), "{seen}");
    assert!(seen.contains("TOKEN=passed on") && !seen.contains("kept back"), "{seen}");
}
