//! Ed25519 keys with which a person approves a plan.
//!
//! A key made for simulation drives simulated rovers only: the purpose is part of what is signed, and an executive whose
//! rover file says `hardware: true` refuses it.

use crate::MissionError;
use ed25519_dalek::{SigningKey, VerifyingKey};
use rand::TryCryptoRng;
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, files, plan::sha256_hex};
use std::path::Path;

/// Version of the key file's form.
pub const KEY_SCHEMA_VERSION: u32 = 1;
/// Largest key file that is read, bytes.
pub const MAX_KEY_BYTES: u64 = 64 << 10;
/// Most public keys in a folder of trusted keys.
pub const MAX_TRUSTED_KEYS: usize = 1000;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Simulated rovers only.
    Simulation,
    /// Real rovers too.
    Flight,
}

impl Purpose {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Simulation => "simulation",
            Self::Flight => "flight",
        }
    }
}

/// The file of a secret key. Readable by its owner only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// [`KEY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// First 16 hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// 32 bytes, hexadecimal.
    pub public_key: String,
    /// 32 bytes, hexadecimal.
    pub secret_key: String,
    /// What it may be used for.
    pub purpose: Purpose,
    /// When it was made, UTC, ISO 8601.
    pub created_utc: String,
}

// A secret must not reach a log by way of `{:?}`.
impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile")
            .field("key_id", &self.key_id)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// The file of a public key, for the folder of keys that a rover trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeyFile {
    /// [`KEY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// First 16 hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// 32 bytes, hexadecimal.
    pub public_key: String,
    /// What it may be used for.
    pub purpose: Purpose,
    /// When it was made, UTC, ISO 8601.
    pub created_utc: String,
}

/// Makes a key from a source of randomness. `created_utc` is the caller's time (a library asks no clock).
///
/// # Errors
/// [`MissionError::Key`] when the source fails.
pub fn new_key(
    purpose: Purpose,
    created_utc: &str,
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<KeyFile, MissionError> {
    let mut secret = [0_u8; 32];
    rng.try_fill_bytes(&mut secret)
        .map_err(|e| MissionError::Key {
            what: "new key".into(),
            reason: format!("the source of randomness failed: {e}"),
        })?;
    let signing = SigningKey::from_bytes(&secret);
    let public = signing.verifying_key().to_bytes();
    Ok(KeyFile {
        schema_version: KEY_SCHEMA_VERSION,
        key_id: key_id(&public),
        public_key: to_hex(&public),
        secret_key: to_hex(&secret),
        purpose,
        created_utc: created_utc.to_string(),
    })
}

/// Makes a key from the operating system's randomness.
///
/// # Errors
/// As [`new_key`].
pub fn generate(purpose: Purpose, created_utc: &str) -> Result<KeyFile, MissionError> {
    new_key(purpose, created_utc, &mut rand::rngs::OsRng)
}

/// The name of a public key: first 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> String {
    sha256_hex(public_key).chars().take(16).collect()
}

impl KeyFile {
    /// Reads and checks a key file.
    ///
    /// # Errors
    /// [`MissionError`] that names the file and what is wrong; also when others than the owner may read it.
    pub fn load(path: &Path) -> Result<Self, MissionError> {
        let what = path.display().to_string();
        refuse_open_permissions(path)?;
        Self::parse(&what, &files::read_text(path, MAX_KEY_BYTES)?)
    }

    /// Reads and checks a key from JSON text; `what` names it in messages.
    ///
    /// # Errors
    /// [`MissionError`] that names what is wrong. The secret is never part of the message.
    pub fn parse(what: &str, text: &str) -> Result<Self, MissionError> {
        let key: Self = serde_json::from_str(text).map_err(|e| key_error(what, e))?;
        check_version(what, key.schema_version)?;
        key.signing_key(what)?;
        Ok(key)
    }

    /// The key to sign with, after checking that secret, public key and name belong together.
    ///
    /// # Errors
    /// [`MissionError::Key`].
    pub fn signing_key(&self, what: &str) -> Result<SigningKey, MissionError> {
        let fail = |reason: &str| MissionError::Key {
            what: what.into(),
            reason: reason.into(),
        };
        let secret = from_hex::<32>(&self.secret_key)
            .ok_or_else(|| fail("secret_key is not a string of 64 hexadecimal digits"))?;
        let signing = SigningKey::from_bytes(&secret);
        let public = signing.verifying_key().to_bytes();
        if from_hex::<32>(&self.public_key) != Some(public) {
            return Err(fail("public_key does not belong to secret_key"));
        }
        if self.key_id != key_id(&public) {
            return Err(MissionError::Key {
                what: what.into(),
                reason: format!(
                    "key_id is {}, expected {}",
                    short(&self.key_id),
                    key_id(&public)
                ),
            });
        }
        Ok(signing)
    }

    /// Writes the key so that only its owner can read it; an existing file is not overwritten.
    ///
    /// # Errors
    /// [`MissionError`] with the path.
    pub fn save(&self, path: &Path) -> Result<(), MissionError> {
        let bytes = pretty("key file", self)?;
        write_private(path, &bytes)
            .map_err(|e| CoreError::io(path, "writing the new key", e).into())
    }

    /// The public part, for a rover's folder of trusted keys.
    #[must_use]
    pub fn public(&self) -> PublicKeyFile {
        PublicKeyFile {
            schema_version: self.schema_version,
            key_id: self.key_id.clone(),
            public_key: self.public_key.clone(),
            purpose: self.purpose,
            created_utc: self.created_utc.clone(),
        }
    }
}

impl PublicKeyFile {
    /// Reads a public key from JSON text. A file with a secret in it is refused: it does not belong on a rover.
    ///
    /// # Errors
    /// [`MissionError::Key`].
    pub fn parse(what: &str, text: &str) -> Result<Self, MissionError> {
        let key: Self = serde_json::from_str(text).map_err(|e| key_error(what, e))?;
        check_version(what, key.schema_version)?;
        let public = parse_public_key(what, &key.public_key)?;
        if key.key_id != key_id(public.as_bytes()) {
            return Err(MissionError::Key {
                what: what.into(),
                reason: format!(
                    "key_id is {}, expected {}",
                    short(&key.key_id),
                    key_id(public.as_bytes())
                ),
            });
        }
        Ok(key)
    }

    /// Writes the public key, whole or not at all.
    ///
    /// # Errors
    /// [`MissionError`] with the path.
    pub fn save(&self, path: &Path) -> Result<(), MissionError> {
        Ok(files::write_atomic(
            path,
            &pretty("public key file", self)?,
        )?)
    }
}

/// A public key from its hexadecimal form; weak points of the curve are refused.
///
/// # Errors
/// [`MissionError::Key`].
pub fn parse_public_key(what: &str, hex: &str) -> Result<VerifyingKey, MissionError> {
    let fail = |reason: String| MissionError::Key {
        what: what.into(),
        reason,
    };
    let bytes = from_hex::<32>(hex).ok_or_else(|| {
        fail(format!(
            "public key \"{}\" is not a string of 64 hexadecimal digits",
            short(hex)
        ))
    })?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| {
        fail(format!(
            "public key {} is not a point of the curve",
            short(hex)
        ))
    })?;
    if key.is_weak() {
        return Err(fail(format!("public key {} is weak", short(hex))));
    }
    Ok(key)
}

/// Public keys that a rover trusts, each with what it may be used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<([u8; 32], Purpose)>);

impl TrustedKeys {
    /// Reads a list of hexadecimal public keys, files of public keys and folders of such files (`*.json`), separated by
    /// commas. A bare hexadecimal key is trusted for flight.
    ///
    /// # Errors
    /// [`MissionError`] that names the entry or the file.
    pub fn load(list: &str) -> Result<Self, MissionError> {
        let mut keys = Self::default();
        for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            if entry.len() == 64 && entry.bytes().all(|b| b.is_ascii_hexdigit()) {
                keys.add(parse_public_key("trusted_keys", entry)?, Purpose::Flight)?;
                continue;
            }
            let path = Path::new(entry);
            if path.is_dir() {
                let listing =
                    std::fs::read_dir(path).map_err(|e| CoreError::io(path, "reading", e))?;
                let mut names = Vec::new();
                for item in listing.take(MAX_TRUSTED_KEYS * 2) {
                    names.push(item.map_err(|e| CoreError::io(path, "reading", e))?.path());
                }
                names.sort();
                for file in names
                    .iter()
                    .filter(|p| p.extension().is_some_and(|e| e == "json"))
                {
                    keys.add_file(file)?;
                }
            } else {
                keys.add_file(path)?;
            }
        }
        Ok(keys)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), MissionError> {
        let what = path.display().to_string();
        let file = PublicKeyFile::parse(&what, &files::read_text(path, MAX_KEY_BYTES)?)?;
        self.add(parse_public_key(&what, &file.public_key)?, file.purpose)
    }

    /// Trusts a key.
    ///
    /// # Errors
    /// [`MissionError::Key`] when there are more than [`MAX_TRUSTED_KEYS`].
    pub fn add(&mut self, key: VerifyingKey, purpose: Purpose) -> Result<(), MissionError> {
        if self.0.len() >= MAX_TRUSTED_KEYS {
            return Err(MissionError::Key {
                what: "trusted_keys".into(),
                reason: format!("holds more than {MAX_TRUSTED_KEYS} keys"),
            });
        }
        self.0.push((key.to_bytes(), purpose));
        Ok(())
    }

    /// What this key is trusted for; `None` when it is not trusted.
    #[must_use]
    pub fn purpose_of(&self, public_key: &[u8; 32]) -> Option<Purpose> {
        // Listed twice, the narrower purpose holds.
        let found: Vec<Purpose> = self
            .0
            .iter()
            .filter(|(k, _)| k == public_key)
            .map(|(_, p)| *p)
            .collect();
        if found.contains(&Purpose::Simulation) {
            Some(Purpose::Simulation)
        } else {
            found.first().copied()
        }
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `N` bytes from exactly `2 N` hexadecimal digits; upper case is refused, so that each value has one spelling.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0_u8; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// A string from outside, cut to what fits into a message.
pub(crate) fn short(text: &str) -> String {
    let mut cut: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if text.chars().count() > 80 {
        cut.push('…');
    }
    cut
}

pub(crate) fn pretty(what: &str, document: &impl Serialize) -> Result<Vec<u8>, MissionError> {
    let mut text =
        serde_json::to_vec_pretty(document).map_err(|e| CoreError::format(what, e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

// serde's messages quote values of the wrong type; in a key file that could be the secret.
fn key_error(what: &str, e: serde_json::Error) -> MissionError {
    let reason = if e.is_data()
        && !e.to_string().starts_with("missing field")
        && !e.to_string().starts_with("unknown field")
    {
        format!(
            "a field has a wrong type or value at line {} column {}",
            e.line(),
            e.column()
        )
    } else {
        e.to_string()
    };
    MissionError::Key {
        what: what.into(),
        reason: format!("is not a key file: {reason}"),
    }
}

fn check_version(what: &str, found: u32) -> Result<(), MissionError> {
    if found == KEY_SCHEMA_VERSION {
        return Ok(());
    }
    Err(CoreError::value(
        what,
        "schema_version",
        found,
        KEY_SCHEMA_VERSION.to_string(),
    )
    .into())
}

#[cfg(unix)]
fn refuse_open_permissions(path: &Path) -> Result<(), MissionError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).map_err(|e| CoreError::io(path, "reading", e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MissionError::Key {
            what: path.display().to_string(),
            reason: format!(
                "holds a secret but has permissions {mode:o}, expected 600 (chmod 600)"
            ),
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open_permissions(_path: &Path) -> Result<(), MissionError> {
    Ok(())
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    if path.symlink_metadata().is_ok() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "the file exists and is not overwritten",
        ));
    }
    let tmp = files::temporary_name(path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let write = || {
        let mut file = options.open(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A hard link fails when the target has appeared meanwhile; a rename would replace it.
        std::fs::hard_link(&tmp, path)
    };
    let unfinished = files::Unfinished::begin(&tmp);
    let result = write();
    drop(unfinished);
    result
}

#[cfg(test)]
mod tests;
