use super::*;
use crate::fixtures::{plan, report, test_key};
use crate::keys::Purpose;
use proptest::prelude::*;

fn bundle(with_xml: bool) -> Bundle {
    let plan = plan();
    let report = report(&plan);
    let approval = gate::approve(
        &plan,
        &report,
        &test_key(Purpose::Simulation, 1),
        "p",
        "2026-01-01T00:00:00Z",
    )
    .unwrap();
    let xml = format!("<plan digest=\"{}\"/>", plan.digest().unwrap());
    Bundle::new(&plan, &report, &approval, with_xml.then_some(xml.as_str())).unwrap()
}

#[test]
fn a_bundle_survives_the_way_through_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/bundle");
    for with_xml in [true, false] {
        let b = bundle(with_xml);
        b.write(&path).unwrap();
        assert_eq!(Bundle::read(&path).unwrap(), b);
        assert_eq!(b.id().len(), 16);
    }
    assert_eq!(
        std::fs::read_dir(dir.path().join("deep")).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn the_same_documents_make_the_same_bundle() {
    assert_eq!(bundle(true), bundle(true));
    assert_ne!(bundle(true).id(), bundle(false).id());
}

#[test]
fn what_is_not_a_bundle_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "work of years").unwrap();
    let message = bundle(false).write(dir.path()).unwrap_err().to_string();
    assert!(message.contains("not overwritten"), "{message}");
    assert!(dir.path().join("thesis.txt").exists());
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(bundle(false).write(&file).is_err());
}

#[test]
fn every_flipped_byte_of_every_file_is_refused() {
    let good = bundle(true);
    let mut tried = 0;
    for (name, bytes) in good.files() {
        for at in 0..bytes.len() {
            let mut files = good.files().clone();
            files.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            let message = Bundle::from_files(files).unwrap_err().to_string();
            assert!(
                message.contains(".json") || message.contains(".xml"),
                "{name}[{at}]: {message}"
            );
            if name != MANIFEST_FILE {
                assert!(message.contains(name.as_str()), "{name}[{at}]: {message}");
            }
            assert!(message.len() < 400 && !message.contains('\n'), "{message}");
            tried += 1;
        }
    }
    assert!(tried > 3000, "{tried} bytes");
    println!("{tried} flipped bytes refused");
}

#[test]
fn a_rewritten_manifest_does_not_help() {
    // Somebody changes the plan and makes manifest and approval fit, but has no key.
    let good = bundle(false);
    let mut plan = good.plan().clone();
    plan.waypoints[1].timeout_s += 1.0;
    let mut report = good.report().clone();
    report.plan_digest = plan.digest().unwrap();
    let mut approval = good.approval().clone();
    approval.approval.plan_digest = report.plan_digest.clone();
    approval.approval.report_digest = report.digest().unwrap();
    let message = Bundle::new(&plan, &report, &approval, None)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("approval.json") && message.contains("signature"),
        "{message}"
    );
}

#[test]
fn missing_extra_and_strange_files_are_named() {
    let good = bundle(true);
    for name in good.files().keys() {
        let mut files = good.files().clone();
        files.remove(name);
        let message = Bundle::from_files(files).unwrap_err().to_string();
        assert!(
            message.contains(name.as_str()) && message.contains("missing"),
            "{message}"
        );
    }
    let mut files = good.files().clone();
    files.insert("../../etc/passwd".into(), vec![1]);
    assert!(
        Bundle::from_files(files)
            .unwrap_err()
            .to_string()
            .contains("does not belong")
    );
    let mut files = bundle(false).files().clone();
    files.insert(XML_FILE.into(), vec![1]);
    assert!(
        Bundle::from_files(files)
            .unwrap_err()
            .to_string()
            .contains("not named")
    );
    assert!(Bundle::from_files(BTreeMap::new()).is_err());
    let dir = tempfile::tempdir().unwrap();
    assert!(
        Bundle::read(dir.path())
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    assert!(Bundle::read(&dir.path().join("no")).is_err());
}

#[test]
fn an_xml_of_another_plan_is_refused() {
    let b = bundle(false);
    let e = Bundle::new(b.plan(), b.report(), b.approval(), Some("<plan/>"))
        .unwrap_err()
        .to_string();
    assert!(e.contains("plan.xml") && e.contains("digest"), "{e}");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    bundle(false).write(&path).unwrap();
    std::fs::rename(path.join(PLAN_FILE), dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), path.join(PLAN_FILE)).unwrap();
    assert!(
        Bundle::read(&path)
            .unwrap_err()
            .to_string()
            .contains("plain file")
    );
}

#[test]
fn too_large_a_file_is_refused() {
    let mut files = bundle(false).files().clone();
    files.insert(REPORT_FILE.into(), vec![b' '; MAX_FILE_BYTES + 1]);
    assert!(
        Bundle::from_files(files)
            .unwrap_err()
            .to_string()
            .contains("larger")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(name in 0usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut files = bundle(true).files().clone();
        let key = files.keys().nth(name).unwrap().clone();
        files.insert(key, bytes);
        prop_assert!(Bundle::from_files(files).is_err());
    }

    #[test]
    fn a_truncated_file_is_refused(name in 0usize..5, keep in 0.0f64..1.0) {
        let mut files = bundle(true).files().clone();
        let key = files.keys().nth(name).unwrap().clone();
        let bytes = files.get_mut(&key).unwrap();
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        prop_assert!(Bundle::from_files(files).is_err());
    }
}
