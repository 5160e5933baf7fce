//! The house rules, run over every file of the repository.
//!
//! Comes in: the tree as git lists it. Goes out: one failure that names every breach with its
//! file, line and rule. The rules themselves, and the proof that each can fail, are in `tidy/src`.

use roomcast_tidy::{allow::Allowed, check, tree};

#[test]
fn the_tree_keeps_the_house_rules() {
    let root = tree::root();
    let files = tree::read(&root);
    assert!(files.len() > 10, "git lists {} files only", files.len());
    let list = std::fs::read_to_string(root.join("tests/tidy/allow.txt")).expect("a list");
    let allowed = Allowed::parse(&list);
    let breaches = allowed.filter(check(&files));
    let listed: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(
        listed.is_empty(),
        "{} breaches of the house rules:\n{}\n\nAn exception is one line with its reason in \
         tests/tidy/allow.txt.",
        listed.len(),
        listed.join("\n")
    );
}
