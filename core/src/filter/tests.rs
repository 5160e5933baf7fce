//! Filters by example: what is read, how it is written, what it decides; and properties of both.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Filter {
    Filter::text(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[track_caller]
fn is_written(filter: &Filter, key: &str) {
    assert_eq!(filter.as_str(), key);
    let again = read(filter.as_str());
    assert_eq!(again.as_str(), key);
    assert_eq!(
        (again.depth(), again.nodes(), again.bytes()),
        (filter.depth(), filter.nodes(), key.len())
    );
}

/// A trade with a few tags; `bad` is no number.
fn trade() -> Labels {
    let tags = [
        ("symbol", "BTC"),
        ("price", "100.5"),
        ("count", "7"),
        ("bad", "7 apples"),
        ("a b", "blank"),
        ("empty", ""),
    ];
    Labels::new(Some("trade"), Some("BTC/EUR"), &tags)
}

#[track_caller]
fn says(text: &str, yes: bool) {
    assert_eq!(read(text).matches(&trade(), b""), yes, "{text}");
}

#[test]
fn a_text_has_one_canonical_form() {
    for (text, key) in [
        (r#"tags.a == "x""#, r#"tags.a == "x""#),
        (r#"'x' == tags["a"]"#, r#"tags.a == "x""#),
        (r#"tags["a b"] != 'x"y'"#, r#"tags["a b"] != "x\"y""#),
        (
            r#"tags["while"] in ["b", "a", "b",]"#,
            r#"tags["while"] in ["a", "b"]"#,
        ),
        (r#"tags.while == """#, r#"tags["while"] == """#),
        (r#"tags.a in ["x"]"#, r#"tags.a == "x""#),
        (r#"!(tags.a in ['x'])"#, r#"tags.a != "x""#),
        ("tags.a in []", "tags.a in []"),
        (r#"!(tags.a != "x")"#, r#"tags.a == "x""#),
        (r#"!!!(event in ["b","a"])"#, r#"!(event in ["a", "b"])"#),
        (r#""a" in tags"#, "has(tags.a)"),
        (r#"!("a-b" in tags)"#, r#"!("a-b" in tags)"#),
        ("has(publication.event)", "has(publication.event)"),
        ("!has(publication . key)", "!has(publication.key)"),
        (r#"publication.tags.a == publication.event"#, ""),
        (r#"publication.key == "k""#, r#"key == "k""#),
        ("5 < double(tags.a)", "double(tags.a) > 5.0"),
        ("0x10 >= int(tags.a)", "int(tags.a) <= 16"),
        ("-.5e1 != double(key)", "double(key) != -5.0"),
        ("!(double(key) == - 0.0)", "double(key) != 0.0"),
        ("double(key) < 1e300", "double(key) < 1e300"),
        (
            "double(key) < 9007199254740993",
            "double(key) < 9007199254740993",
        ),
        (
            "int(key) > 2.5 || int(key) == 3.0",
            "int(key) == 3 || int(key) > 2.5",
        ),
        ("!(double(key) < 1)", "double(key) >= 1.0"),
        (
            r#"!tags.a.contains('\x41\u00e9\U0001F600\101\n')"#,
            "!tags.a.contains(\"AéA\\n\")",
        ),
        (
            "has(tags.b) && (has(tags.a) && has(tags.b))",
            "has(tags.a) && has(tags.b)",
        ),
        (
            "has(tags.a) && has(tags.b) || has(tags.c)",
            "has(tags.a) && has(tags.b) || has(tags.c)",
        ),
        (
            "!(has(tags.a) || has(tags.b)) && true",
            "!(has(tags.a) || has(tags.b))",
        ),
        ("has(tags.a) && false || false", "false"),
        ("( ( (has(( tags.a ))) ) ) // why\n&&\ttrue", "has(tags.a)"),
    ] {
        match key {
            "" => assert!(Filter::text(text).is_err(), "{text}"),
            key => is_written(&read(text), &key.replace("AéA", "Aé😀A")),
        }
    }
}

#[test]
fn builders_say_what_texts_say() {
    for (filter, text) in [
        (Filter::eq("a", "x"), r#"tags.a == "x""#),
        (Filter::neq(Field::Event, "x"), r#"event != "x""#),
        (
            Filter::one_of(Field::Key, ["x", "y"]),
            r#"key in ["x", "y"]"#,
        ),
        (
            Filter::none_of("a", ["y", "x"]),
            r#"!(tags.a in ["x", "y"])"#,
        ),
        (Filter::exists("a-b"), r#""a-b" in tags"#),
        (Filter::missing(Field::Event), "!has(publication.event)"),
        (Filter::starts_with("a", "x"), r#"tags.a.startsWith("x")"#),
        (Filter::ends_with("a", "x"), r#"tags.a.endsWith("x")"#),
        (Filter::contains("a", "x"), r#"tags.a.contains("x")"#),
        (Filter::gt("a", 1.0), "double(tags.a) > 1.0"),
        (Filter::gte("a", -0.0), "double(tags.a) >= 0.0"),
        (Filter::lt("a", 1e-7), "double(tags.a) < 1e-7"),
        (
            Filter::lte("a", f64::MAX),
            "double(tags.a) <= 1.7976931348623157e308",
        ),
        (Filter::all([]), "true"),
        (Filter::any([]), "false"),
        (!Filter::all([]), "false"),
        (
            !!(Filter::exists("b") | Filter::exists("a")),
            "has(tags.a) || has(tags.b)",
        ),
        (
            (Filter::exists("b") | Filter::exists("c")) & Filter::exists("a"),
            "has(tags.a) && (has(tags.b) || has(tags.c))",
        ),
    ] {
        assert_eq!(filter.fault(), None, "{filter}");
        is_written(&filter, text);
        assert_eq!(filter, read(text));
    }
}

#[test]
fn questions_are_answered() {
    says(
        r#"tags.symbol == "BTC" && event == "trade" && key == "BTC/EUR""#,
        true,
    );
    says(r#"tags.symbol != "BTC""#, false);
    says(
        r#"tags.symbol in ["BTC", "ETH"] && !(event in ["quote"])"#,
        true,
    );
    says(
        r#"tags["a b"] == "blank" && "a b" in tags && !("a" in tags)"#,
        true,
    );
    says(
        "has(tags.empty) && has(publication.key) && !has(tags.gone)",
        true,
    );
    says(
        r#"key.startsWith("BTC") && key.endsWith("EUR") && key.contains("/")"#,
        true,
    );
    says(
        r#"key.startsWith("EUR") || key.endsWith("BTC") || key.contains("-")"#,
        false,
    );
    says(r#"tags.empty.contains("") && tags.empty == """#, true);
    says(
        "double(tags.price) > 100 && double(tags.price) <= 100.5",
        true,
    );
    says(
        "double(tags.price) < 100.5 || double(tags.price) == 100",
        false,
    );
    says(
        "int(tags.count) >= 7 && int(tags.count) < 7.5 && int(tags.count) != 8",
        true,
    );
    says("tags.symbol in []", false);
    says("!(tags.symbol in [])", true);
}

#[test]
fn the_unknown_is_neither_true_nor_false() {
    for unknown in [
        r#"tags.gone == "x""#,
        r#"tags.gone != "x""#,
        r#"tags.gone in ["x", "y"]"#,
        "tags.gone in []",
        r#"tags.gone.startsWith("")"#,
        "double(tags.bad) > 5",
        "double(tags.empty) > 5",
        "double(tags.gone) != 5",
        "int(tags.price) > 5",
    ] {
        says(unknown, false);
        says(&format!("!({unknown})"), false);
        says(&format!("({unknown}) && true || !({unknown})"), false);
        says(&format!("({unknown}) || has(tags.symbol)"), true);
        says(&format!("!(({unknown}) && has(tags.gone))"), true);
        says(&format!("!(has(tags.symbol) && ({unknown}))"), false);
    }
}

#[test]
fn numbers_are_compared_without_rounding() {
    let exact = [
        ("n", "9007199254740993"),
        ("f", "9007199254740992"),
        ("nan", "NaN"),
    ];
    let labels = Labels::new(None, None, &exact);
    for (text, yes) in [
        ("int(tags.n) == 9007199254740993", true),
        ("int(tags.n) > 9007199254740992.0", true),
        ("int(tags.n) < 9007199254740994.0", true),
        ("double(tags.f) < 9007199254740993", true),
        ("double(tags.f) == 9007199254740993", false),
        ("int(tags.n) < 1e19 && int(tags.n) > -1e19", true),
        ("double(tags.n) < 9223372036854775807", true),
        ("int(tags.n) > -9223372036854775808", true),
        (
            "int(tags.f) < 9007199254740992.0 || int(tags.f) > 9007199254740992.0",
            false,
        ),
        (
            "int(tags.n) > 0.5 && !(int(tags.n) < 0.5) && int(tags.n) > -0.5",
            true,
        ),
        // NaN equals no number, and stands in no order with any.
        (
            "double(tags.nan) < 1 || double(tags.nan) >= 1 || double(tags.nan) == 1",
            false,
        ),
        ("double(tags.nan) != 1 && !(double(tags.nan) == 1)", true),
        ("!(double(tags.nan) < 1) || !(double(tags.nan) >= 1)", false),
        ("double(tags.nan) < 9007199254740993", false),
    ] {
        assert_eq!(read(text).matches(&labels, b""), yes, "{text}");
    }
}

#[test]
fn wrong_texts_are_refused_where_they_are_wrong() {
    for (text, at, expected) in [
        ("", 0, "a condition or a value"),
        ("tags.a", 0, "a condition"),
        ("tags.a ==", 9, "a condition or a value"),
        ("tags.a == 5", 0, "double("),
        ("5 == tags.a", 5, "double("),
        (r#"tags.a < "b""#, 0, "no order"),
        (r#"double(tags.a) < "b""#, 17, "a number"),
        ("tags.a == tags.b", 10, "a text in quotes"),
        (r#""a" == "b""#, 7, "a tag"),
        ("1 < 2", 4, "of a tag"),
        ("tags.a.b == 'x'", 7, "startsWith"),
        ("tags.a.matches('x')", 7, "startsWith"),
        ("event[\"a\"] == 'x'", 5, "tags"),
        ("has(event)", 4, "publication.event"),
        ("has(tags[\"a\"])", 4, "tags.name"),
        ("double(5) > 3", 7, "a tag"),
        ("double(tags.a) > 5 > 3", 19, "no chain"),
        ("true && tags.a", 8, "a condition"),
        ("tags.a in 'x'", 10, "a list"),
        ("tags.a in [5]", 11, "a text in quotes"),
        ("tags.a in ['a' 'b']", 15, "`,` or `]`"),
        ("(true", 5, "`)`"),
        ("true)", 4, "the end"),
        ("true & true", 5, "a word, a sign"),
        ("true ? true : false", 5, "a word, a sign"),
        ("size(tags) > 5", 0, "`tags`"),
        ("tags.in == 'x'", 5, "another name"),
        ("tags.a == 'x", 12, "a closing quote"),
        ("tags.a == 'x\n'", 12, "an escape"),
        (r"tags.a == 'x\q'", 12, "an escape"),
        (r"tags.a == '\ud800'", 11, "an escape"),
        (r"tags.a == '\777'", 11, "an escape"),
        ("double(tags.a) > 5.", 17, "a number"),
        ("double(tags.a) > 5u", 17, "a number"),
        ("double(tags.a) > 1e999", 17, "a number"),
        ("int(tags.a) > 9223372036854775808", 14, "a number"),
        ("int(tags.a) > 0x-5", 14, "a number"),
        ("native(\"mine\")", 0, "native"),
        ("\u{e9} == 'x'", 0, "a word"),
    ] {
        let error = Filter::text(text).expect_err(text);
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("at byte {at} of")),
            "{text}: {said}"
        );
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn what_is_too_deep_or_too_large_is_refused() {
    let nested = |times| "(".repeat(times) + "true" + &")".repeat(times);
    assert!(Filter::text(&nested(Filter::DEPTH_MAX)).is_ok());
    for times in [Filter::DEPTH_MAX + 1, 8_000] {
        assert_eq!(Filter::text(&nested(times)), Err(FilterError::TooDeep));
    }
    let called = "has(".repeat(4_000);
    assert_eq!(Filter::text(&called), Err(FilterError::TooDeep));
    is_written(&read(&("!".repeat(16_000) + "has(tags.a)")), "has(tags.a)");

    let many = |of: usize| (0..of).map(|i| Filter::eq("a", i.to_string()));
    let most = Filter::any(many(Filter::NODES_MAX - 1));
    assert_eq!((most.nodes(), most.fault()), (Filter::NODES_MAX, None));
    is_written(&most, &most.to_string());
    assert_eq!(
        Filter::any(many(Filter::NODES_MAX)).fault(),
        Some(&FilterError::TooLarge)
    );
    let text = |times| ["true"].repeat(times).join("&&");
    assert!(Filter::text(&text(Filter::NODES_MAX)).is_ok());
    assert_eq!(
        Filter::text(&text(Filter::NODES_MAX + 1)),
        Err(FilterError::TooLarge)
    );

    let long = |bytes| "x".repeat(bytes - r#"tags.a == """#.len());
    assert_eq!(
        Filter::eq("a", long(Filter::BYTES_MAX)).bytes(),
        Filter::BYTES_MAX
    );
    let beyond = Filter::eq("a", long(Filter::BYTES_MAX + 1));
    assert_eq!(beyond.fault(), Some(&FilterError::TooLarge));
    let blank = " ".repeat(Filter::BYTES_MAX) + "true";
    assert_eq!(Filter::text(&blank), Err(FilterError::TooLarge));
    // Written with escapes it would be longer than what is read again.
    let swells = format!("tags.a == '{}'", "\x01".repeat(4_000));
    assert_eq!(Filter::text(&swells), Err(FilterError::TooLarge));
}

#[test]
fn the_deepest_tree_is_read_again() {
    let mut filter = Filter::gt("leaf", 0.0);
    let mut level = 0;
    while filter.depth() < Filter::DEPTH_MAX {
        level += 1;
        let other = Filter::exists(format!("t{level}"));
        filter = match level % 3 {
            0 => filter & other,
            1 => filter | other,
            _ => !filter,
        };
    }
    assert_eq!(filter.fault(), None);
    is_written(&filter, &filter.to_string());
    let deeper = filter.clone() & Filter::any([!filter, Filter::exists("x")]);
    assert_eq!(deeper.fault(), Some(&FilterError::TooDeep));
}

#[test]
fn a_faulty_filter_matches_nothing_in_any_company() {
    for bound in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let faulty = Filter::gt("price", bound);
        for filter in [
            faulty.clone(),
            !faulty.clone(),
            Filter::exists("price") | faulty.clone(),
            !(Filter::exists("price") & faulty),
        ] {
            assert_eq!(filter.fault(), Some(&FilterError::NotFinite));
            assert!(!filter.matches(&trade(), b""));
        }
    }
}

#[test]
fn a_native_predicate_is_known_by_its_name_and_asked_last() {
    let short =
        |max: usize| Filter::native("short", move |_: &Labels, data: &[u8]| data.len() <= max);
    let filter = short(3) & !Filter::exists("zone");
    assert_eq!(filter.as_str(), r#"!has(tags.zone) && native("short")"#);
    assert_eq!(filter, short(5) & Filter::missing("zone"));
    assert!(filter.matches(&trade(), b"abc") && !filter.matches(&trade(), b"abcd"));
    assert!((!filter.clone()).matches(&trade(), b"abcd"));
    assert!(Filter::text(filter.as_str()).is_err());

    let never = Filter::native("a", |_: &Labels, _: &[u8]| panic!("it was decided without"));
    assert!(!(never.clone() & Filter::eq("symbol", "ETH")).matches(&trade(), b""));
    assert!((!never | Filter::eq("symbol", "BTC")).matches(&trade(), b""));
}

#[test]
fn a_filter_is_one_pointer_that_threads_share() {
    fn shared<T: Send + Sync + Clone>() -> usize {
        size_of::<T>()
    }
    assert_eq!(shared::<Option<Filter>>(), size_of::<usize>());
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Event),
        Just(Field::Key),
        "[a-c]{0,2}|.".prop_map(Field::Tag),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "-?[0-9]{1,3}(\\.5)?", ".{0,3}"]
}

fn question() -> impl Strategy<Value = Filter> {
    let values = || proptest::collection::vec(value(), 0..4);
    prop_oneof![
        (field(), values()).prop_map(|(f, v)| Filter::one_of(f, v)),
        (field(), values()).prop_map(|(f, v)| Filter::none_of(f, v)),
        field().prop_map(Filter::exists),
        (field(), value()).prop_map(|(f, v)| Filter::starts_with(f, v)),
        (field(), value()).prop_map(|(f, v)| Filter::ends_with(f, v)),
        (field(), value()).prop_map(|(f, v)| Filter::contains(f, v)),
        (field(), proptest::num::f64::NORMAL).prop_map(|(f, n)| Filter::gte(f, n)),
        (field(), -9i8..9).prop_map(|(f, n)| Filter::lt(f, n.into())),
    ]
}

fn tree() -> impl Strategy<Value = Filter> {
    question().prop_recursive(5, 40, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            several.clone().prop_map(Filter::all),
            several.prop_map(Filter::any),
            inner.prop_map(|filter| !filter),
        ]
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    let tags = proptest::collection::vec(("[a-c]{0,2}", value()), 0..4);
    let some = || proptest::option::of(value());
    (some(), some(), tags).prop_map(|(event, key, tags)| {
        let tags: Vec<_> = tags.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Labels::new(event.as_deref(), key.as_deref(), &tags)
    })
}

proptest! {
    #[test]
    fn a_tree_is_read_again_from_its_text(filter in tree(), labels in labels()) {
        let again = Filter::text(filter.as_str()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again.as_str(), filter.as_str());
        prop_assert_eq!(again.matches(&labels, b""), filter.matches(&labels, b""));
        prop_assert_eq!((again.depth(), again.nodes()), (filter.depth(), filter.nodes()));
    }

    #[test]
    fn order_and_repetition_do_not_count(a in tree(), b in tree(), c in tree()) {
        let (ab, bc) = (a.clone() & b.clone(), b.clone() & c.clone());
        prop_assert_eq!(ab.clone() & c.clone(), a.clone() & bc.clone());
        prop_assert_eq!(Filter::all([c.clone(), ab, bc]), Filter::all([a.clone(), b.clone(), c]));
        prop_assert_eq!(a.clone() | b.clone(), b | a.clone() | a);
    }

    #[test]
    fn a_filter_and_its_negation_never_both_match(filter in tree(), labels in labels()) {
        let (yes, no) = (filter.matches(&labels, b""), (!filter.clone()).matches(&labels, b""));
        prop_assert!(!(yes && no));
        prop_assert_eq!(!!filter.clone(), filter);
    }

    #[test]
    fn garbage_does_no_harm(text in ".{0,60}") {
        let _ = Filter::text(&text);
    }

    #[test]
    fn near_misses_do_no_harm(parts in proptest::collection::vec(0..PARTS.len(), 0..14)) {
        let text: String = parts.iter().map(|part| PARTS[*part]).collect();
        match Filter::text(&text) {
            Ok(filter) => prop_assert_eq!(&read(filter.as_str()), &filter),
            Err(FilterError::Syntax { at, .. }) => prop_assert!(at <= text.len()),
            Err(other) => prop_assert!(false, "{}: {}", text, other),
        }
    }
}

const PARTS: &[&str] = &[
    "tags",
    ".a",
    "[\"a\"]",
    "event",
    "key",
    "publication",
    "double(",
    "int(",
    "has(",
    "(",
    ")",
    ")",
    " == ",
    " != ",
    " > ",
    "5",
    "-",
    "1.5",
    "\"x\"",
    "'y'",
    " in ",
    "['a', 'b']",
    " && ",
    " || ",
    "!",
    "true",
    ".startsWith(",
    "é",
];
