//! Filters by example: what is read, how it is written, what it decides.

use super::*;

fn canonical(text: &str) -> String {
    let filter = Filter::text(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let again = Filter::text(filter.as_str()).unwrap_or_else(|e| panic!("{filter}: {e}"));
    assert_eq!((&filter, filter.as_str()), (&again, again.as_str()));
    filter.to_string()
}

#[test]
fn a_text_has_one_canonical_form() {
    for (text, key) in [
        (r#"tags.a == "x""#, r#"tags.a == "x""#),
        (r#"'x' == tags["a"]"#, r#"tags.a == "x""#),
        ("5 < double(tags.a)", "double(tags.a) > 5.0"),
        (
            "has(tags.b) && (has(tags.a) && has(tags.b))",
            "has(tags.a) && has(tags.b)",
        ),
    ] {
        assert_eq!(canonical(text), key);
    }
}
