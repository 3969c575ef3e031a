use super::*;
use crate::fixtures::test_key;
use proptest::prelude::*;

#[test]
fn a_key_survives_the_way_through_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let key = generate(Purpose::Simulation, "2026-01-01T00:00:00Z").unwrap();
    key.save(&path).unwrap();
    assert_eq!(KeyFile::load(&path).unwrap(), key);
    assert!(
        key.save(&path)
            .unwrap_err()
            .to_string()
            .contains("not overwritten")
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
    assert_ne!(
        generate(Purpose::Simulation, "").unwrap().secret_key,
        key.secret_key
    );
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    test_key(Purpose::Flight, 1).save(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let message = KeyFile::load(&path).unwrap_err().to_string();
    assert!(
        message.contains("644") && message.contains("key.json"),
        "{message}"
    );
}

#[test]
fn a_key_whose_parts_do_not_belong_together_is_refused() {
    let (a, b) = (test_key(Purpose::Flight, 1), test_key(Purpose::Flight, 2));
    let mut mixed = a.clone();
    mixed.public_key = b.public_key.clone();
    let text = serde_json::to_string(&mixed).unwrap();
    assert!(
        KeyFile::parse("k", &text)
            .unwrap_err()
            .to_string()
            .contains("does not belong")
    );
    let mut renamed = a.clone();
    renamed.key_id = "0".repeat(16);
    assert!(
        renamed
            .signing_key("k")
            .unwrap_err()
            .to_string()
            .contains("key_id")
    );
}

#[test]
fn the_secret_is_in_no_message_and_no_debug_text() {
    let key = test_key(Purpose::Flight, 3);
    assert!(!format!("{key:?}").contains(&key.secret_key));
    let text = serde_json::to_string(&key)
        .unwrap()
        .replace("\"flight\"", &format!("\"{}\"", key.secret_key));
    let message = KeyFile::parse("k", &text).unwrap_err().to_string();
    assert!(!message.contains(&key.secret_key), "{message}");
}

#[test]
fn trusted_keys_come_from_hex_files_and_folders() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b, c) = (
        test_key(Purpose::Flight, 1),
        test_key(Purpose::Simulation, 2),
        test_key(Purpose::Flight, 3),
    );
    a.public().save(&dir.path().join("a.json")).unwrap();
    b.public().save(&dir.path().join("b.json")).unwrap();
    let list = format!("{}, {}", dir.path().display(), c.public_key);
    let trusted = TrustedKeys::load(&list).unwrap();
    assert_eq!(trusted.len(), 3);
    let purpose = |k: &KeyFile| trusted.purpose_of(&from_hex(&k.public_key).unwrap());
    assert_eq!(purpose(&a), Some(Purpose::Flight));
    assert_eq!(purpose(&b), Some(Purpose::Simulation));
    assert_eq!(purpose(&c), Some(Purpose::Flight));
    assert!(TrustedKeys::load("").unwrap().is_empty());
    // A secret key does not belong in the folder.
    c.save(&dir.path().join("c.json")).unwrap();
    let message = TrustedKeys::load(&list).unwrap_err().to_string();
    assert!(
        message.contains("c.json") && message.contains("secret_key"),
        "{message}"
    );
    assert!(
        TrustedKeys::load("/no/such")
            .unwrap_err()
            .to_string()
            .contains("/no/such")
    );
}

proptest! {
    #[test]
    fn hex_round_trips(bytes in any::<[u8; 32]>()) {
        prop_assert_eq!(from_hex::<32>(&to_hex(&bytes)), Some(bytes));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,200}") {
        prop_assert!(KeyFile::parse("k", &text).is_err());
        prop_assert!(PublicKeyFile::parse("k", &text).is_err());
        let _ = parse_public_key("k", &text);
    }
}
