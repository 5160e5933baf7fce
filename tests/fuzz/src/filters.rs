//! The targets `filter_text` and `filter_tree`: filters held against what they promise.
//!
//! In: bytes, as a text, or as a tree with the labels of a publication. Out: nothing, or a panic
//! where a filter's text makes another filter, a bound does not hold, or a verdict differs from
//! that of a naive reading of the tree. One thread.

pub mod question;

use roomcast::{Filter, FilterError, Labels};

pub use self::question::{Bytes, Publication, Question};

/// A text, perhaps not UTF-8: parsed, printed, parsed again, evaluated.
pub fn text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Filter::text(&text) {
        Ok(filter) => {
            assert!(text.len() <= Filter::BYTES_MAX);
            keeps_its_promises(&filter);
            let negated = !filter;
            if negated.fault().is_none() {
                keeps_its_promises(&negated);
            }
        }
        Err(FilterError::Syntax { at, .. }) => assert!(at <= text.len()),
        Err(_) => {}
    }
}

fn keeps_its_promises(filter: &Filter) {
    assert_eq!(filter.fault(), None);
    assert!(filter.depth() <= Filter::DEPTH_MAX && filter.nodes() <= Filter::NODES_MAX);
    assert!(filter.bytes() <= Filter::BYTES_MAX);
    let again = Filter::text(filter.as_str()).unwrap_or_else(|e| panic!("{filter}: {e}"));
    assert_eq!(again.as_str(), filter.as_str());
    assert_eq!(
        (again.depth(), again.nodes()),
        (filter.depth(), filter.nodes())
    );
    let tags = [("a", "x"), ("b", "7.25"), ("c", "")];
    for (event, key, tags) in [
        (None, None, &tags[..0]),
        (Some("x"), Some("5"), &tags[..]),
        (None, Some(""), &tags[1..]),
    ] {
        let labels = Labels::new(event, key, tags);
        let yes = filter.matches(&labels, b"data");
        assert_eq!(again.matches(&labels, b"data"), yes, "{filter}");
        assert!(
            !(yes && (!filter.clone()).matches(&labels, b"data")),
            "{filter}"
        );
    }
}

/// Labels, then a tree: built, printed, parsed, and evaluated beside a naive reading.
pub fn tree(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let publication = Publication::decode(&mut bytes);
    let question = Question::decode(&mut bytes);
    let filter = question.filter();
    let labels = publication.labels();
    let yes = filter.matches(&labels, &publication.data);
    if let Some(fault) = filter.fault() {
        assert!(!yes);
        let deserved = match fault {
            FilterError::NotFinite => !question.is_finite(),
            FilterError::TooDeep => question.depth() > Filter::DEPTH_MAX,
            // A quarter of the nodes may have a text that is too long, if its values are long.
            FilterError::TooLarge => question.nodes() > Filter::NODES_MAX / 4,
            _ => false,
        };
        assert!(deserved, "{fault}");
        return;
    }
    assert!(question.is_finite());
    assert_eq!(
        yes,
        question.value(&publication) == Some(true),
        "{filter} of {publication:?}"
    );
    let negated = (!filter.clone()).matches(&labels, &publication.data);
    if filter.depth() < Filter::DEPTH_MAX {
        assert_eq!(
            negated,
            question.value(&publication) == Some(false),
            "!({filter})"
        );
    }
    if question.is_text() {
        keeps_its_promises(&filter);
        if question.depth() < Filter::DEPTH_MAX / 2 {
            let spelled = question.spelled();
            let read = Filter::text(&spelled).unwrap_or_else(|e| panic!("{spelled}: {e}"));
            assert_eq!(read, filter, "{spelled}");
        }
    }
}
