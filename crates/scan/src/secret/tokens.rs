//! Tokens and keys that give themselves away by how they are written. The shapes are those that the issuers
//! document, or that their own tools check.

/// What a secret looks like behind the literal that it begins with.
pub(crate) struct Token {
    /// The rule, without `secret/`.
    pub(crate) rule: &'static str,
    /// Where to look: the pattern begins with one of these, at the beginning of a word.
    pub(crate) literals: &'static [&'static str],
    /// What must stand there; the group, if there is one, is the secret. Bounded, so that it never looks further
    /// than the window that it is given.
    pub(crate) pattern: &'static str,
    /// What else must hold.
    pub(crate) check: Check,
}

/// What must hold besides the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is no placeholder.
    Plausible,
    /// And it is random.
    Random,
    /// And stands where client secrets of Azure have their mark.
    Azure,
    /// Its first part is the header of a JSON Web Token.
    Jwt,
    /// Key material follows within reach.
    KeyMaterial,
    /// It is the beginning of key material, in base64 once more.
    EncodedKey,
    /// What stands before it is a scheme, and the password is one. Not shown at all.
    Url,
    /// It decodes to a name and a password. Not shown at all.
    Basic,
    /// It is the value of a header, and nothing more special.
    Bearer,
}

const fn token(
    rule: &'static str,
    literals: &'static [&'static str],
    pattern: &'static str,
    check: Check,
) -> Token {
    Token { rule, literals, pattern, check }
}

use Check::{Azure, Basic, Bearer, EncodedKey, Jwt, KeyMaterial, Plausible, Random, Url};

/// All of them. Where several begin alike, they are tried in this order, and the first that fits is the one.
pub(crate) const TOKENS: &[Token] = &[
    // RFC 7468, RFC 4880, OpenSSH and the ssh.com format.
    token(
        "private-key",
        &["-----BEGIN", "---- BEGIN"],
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        KeyMaterial,
    ),
    // `-----BEGIN …PRIVATE KEY-----`, as Kubernetes and pipelines keep it.
    token("private-key", &["LS0tLS1CRUdJTi"], r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{26,46}", EncodedKey),
    token("age-key", &["AGE-SECRET-KEY-"], r"AGE-SECRET-KEY-1[0-9A-Z]{58}", Plausible),
    token("age-key", &["AGE-PLUGIN-"], r"AGE-PLUGIN-[A-Z0-9]{1,20}-1[0-9A-Z]{20,200}", Plausible),
    token("putty-key", &["PuTTY-User-Key-File-"], r"PuTTY-User-Key-File-[0-9]: [a-z0-9-]{3,40}", KeyMaterial),
    token("aws-access-key", &["AKIA", "ASIA"], r"A[KS]IA[A-Z2-7]{16}", Plausible),
    // Behind three characters, a digit and `Q`, which is how Microsoft's own scanners know it.
    token("azure-key", &["Q~"], r"Q~[A-Za-z0-9_~.-]{31,34}", Azure),
    token("gcp-key", &["AIza"], r"AIza[A-Za-z0-9_-]{35}", Random),
    token("gcp-key", &["GOCSPX-"], r"GOCSPX-[A-Za-z0-9_-]{28}", Random),
    token("gcp-key", &["ya29."], r"ya29\.[A-Za-z0-9_-]{30,400}", Random),
    token(
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"gh[pousr]_[A-Za-z0-9]{36,255}",
        Plausible,
    ),
    token("github-token", &["github_pat_"], r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", Plausible),
    token(
        "gitlab-token",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        r"gl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_.-]{20,120}",
        Plausible,
    ),
    token(
        "slack-token",
        &["xox"],
        r"xox[abeoprs][.-](?:[A-Za-z0-9]{1,40}[.-]){0,6}[A-Za-z0-9]{12,200}",
        Plausible,
    ),
    token("slack-token", &["xapp-"], r"xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{8,16}-[a-f0-9]{40,80}", Plausible),
    token(
        "slack-webhook",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9]{6,16}/[A-Za-z0-9]{6,16}/[A-Za-z0-9]{20,30})",
        Plausible,
    ),
    token(
        "stripe-key",
        &["sk_live_", "rk_live_", "sk_test_", "rk_test_"],
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,247}",
        Plausible,
    ),
    token("stripe-key", &["whsec_"], r"whsec_[A-Za-z0-9+/=]{24,80}", Random),
    token("hugging-face-token", &["hf_"], r"hf_[A-Za-z]{30,44}", Plausible),
    token("hugging-face-token", &["api_org_"], r"api_org_[A-Za-z]{30,44}", Plausible),
    token("anthropic-key", &["sk-ant-"], r"sk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{60,140}", Plausible),
    token("openai-key", &["sk-"], r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{40,240}", Random),
    token("openai-key", &["sk-"], r"sk-or-v1-[a-f0-9]{64}", Plausible),
    token("openai-key", &["sk-"], r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", Plausible),
    token("openai-key", &["sk-"], r"sk-[A-Za-z0-9]{32,64}", Random),
    token("npm-token", &["npm_"], r"npm_[A-Za-z0-9]{36}", Plausible),
    // The macaroon's fixed beginning: version 2, `pypi.org` or `test.pypi.org`.
    token("pypi-token", &["pypi-AgE"], r"pypi-AgE[A-Za-z0-9_-]{50,400}", Plausible),
    token("docker-token", &["dckr_"], r"dckr_[po]at_[A-Za-z0-9_-]{27,52}", Plausible),
    token("sendgrid-key", &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", Plausible),
    token("vault-token", &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,300}", Random),
    token("databricks-token", &["dapi"], r"dapi[a-f0-9]{32}(?:-[0-9])?", Plausible),
    token("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], r"do[opr]_v1_[a-f0-9]{64}", Plausible),
    token("shopify-token", &["shpat_", "shpss_", "shpca_"], r"shp(?:at|ss|ca)_[a-fA-F0-9]{32}", Plausible),
    token("linear-key", &["lin_api_"], r"lin_api_[A-Za-z0-9]{40}", Plausible),
    token("postman-key", &["PMAK-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", Plausible),
    token("new-relic-key", &["NRAK-"], r"NRAK-[A-Z0-9]{27}", Plausible),
    token("rubygems-key", &["rubygems_"], r"rubygems_[a-f0-9]{48}", Plausible),
    token("atlassian-token", &["ATATT3"], r"ATATT3[A-Za-z0-9_=-]{100,250}", Plausible),
    token("groq-key", &["gsk_"], r"gsk_[A-Za-z0-9]{48,56}", Plausible),
    token("xai-key", &["xai-"], r"xai-[A-Za-z0-9]{70,90}", Plausible),
    token("perplexity-key", &["pplx-"], r"pplx-[A-Za-z0-9]{40,60}", Plausible),
    token("nvidia-key", &["nvapi-"], r"nvapi-[A-Za-z0-9_-]{60,80}", Plausible),
    token("replicate-token", &["r8_"], r"r8_[A-Za-z0-9]{37}", Plausible),
    token("langsmith-key", &["lsv2_"], r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}", Plausible),
    token("pinecone-key", &["pcsk_"], r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{50,70}", Plausible),
    token("grafana-token", &["glsa_"], r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}", Plausible),
    token("sentry-token", &["sntrys_"], r"sntrys_[A-Za-z0-9+/=_-]{60,300}", Plausible),
    token("doppler-token", &["dp.pt."], r"dp\.pt\.[A-Za-z0-9]{40,44}", Plausible),
    token("terraform-token", &[".atlasv1."], r"\.atlasv1\.[A-Za-z0-9_=-]{60,70}", Plausible),
    token("telegram-token", &[":AA"], r":AA[A-Za-z0-9_-]{33}", Random),
    token(
        "discord-webhook",
        &["api/webhooks/"],
        r"api/webhooks/[0-9]{17,20}/([A-Za-z0-9_-]{60,80})",
        Plausible,
    ),
    // RFC 7519: three parts; the first two are JSON objects.
    token("jwt", &["eyJ"], r"eyJ[A-Za-z0-9_-]{8,1200}\.eyJ[A-Za-z0-9_-]{4,2200}\.[A-Za-z0-9_-]{16,600}", Jwt),
    token(
        "connection-string",
        &["://"],
        r#"://[^\s:/?#@"'<>`\\,;()\[\]]{0,100}:([^\s/@"'<>`\\]{3,200})@[A-Za-z0-9\[_.-]{1,253}"#,
        Url,
    ),
    token("bearer-token", &["Bearer ", "bearer "], r"[Bb]earer ([A-Za-z0-9+/=_.~-]{20,2000})", Bearer),
    token("basic-auth", &["Basic ", "basic "], r"[Bb]asic ([A-Za-z0-9+/]{8,400}={0,2})", Basic),
];

/// Literals of tokens that may be shorter than [`RUN_MIN`], or have blanks in them: they are searched for everywhere.
pub(crate) const ANYWHERE: &[&str] =
    &["-----BEGIN", "---- BEGIN", "PuTTY-User-Key-File-", "://", "Bearer ", "bearer ", "Basic ", "basic "];

/// All other tokens are at least so long, and nothing in them divides words: they are looked for in runs of such
/// characters only, of which there are few in most texts.
pub(crate) const RUN_MIN: usize = 20;

/// Beginnings of tokens that are told from anything else also in the middle of other letters: neither the symbols of programs
/// nor base64 have them before so many characters of their kind.
pub(crate) const TOLD: &[&str] = &[
    "AKIA",
    "ASIA",
    "ghp_",
    "github_pat_",
    "glpat-",
    "hf_",
    "npm_",
    "pypi-AgE",
    "sk_live_",
    "rk_live_",
    "xox",
    "sk-ant-",
    "SG.",
    "dckr_",
    "dapi",
    "dop_v1_",
    "shpat_",
    "lin_api_",
    "glsa_",
    "nvapi-",
];

/// What opens a name that is assigned a secret, in the ways that it is written.
pub(crate) const KEYWORDS: &[(&str, Keyword)] = &[
    ("passw", Keyword::Password),
    ("Passw", Keyword::Password),
    ("PASSW", Keyword::Password),
    ("passph", Keyword::Password),
    ("Passph", Keyword::Password),
    ("PASSPH", Keyword::Password),
    ("pwd", Keyword::Password),
    ("Pwd", Keyword::Password),
    ("PWD", Keyword::Password),
    ("secret", Keyword::Secret),
    ("Secret", Keyword::Secret),
    ("SECRET", Keyword::Secret),
    ("token", Keyword::Token),
    ("Token", Keyword::Token),
    ("TOKEN", Keyword::Token),
    ("_key", Keyword::Key),
    ("-key", Keyword::Key),
    ("_KEY", Keyword::Key),
    ("-KEY", Keyword::Key),
    ("-Key", Keyword::Key),
    ("Key", Keyword::Key),
    ("pikey", Keyword::Key),
    ("PIKEY", Keyword::Key),
    ("credential", Keyword::Token),
    ("CREDENTIAL", Keyword::Token),
    ("auth", Keyword::Token),
    ("AUTH", Keyword::Token),
];

/// What a name says about the value that it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// Chosen by people: need not be long.
    Password,
    /// Either.
    Secret,
    /// Made by machines: long and random.
    Token,
    /// The same, if the word before it says what for.
    Key,
}
