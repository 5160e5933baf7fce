//! Filters: made from a text, from questions, from a predicate of the host's, put together.

use std::ffi::{c_char, c_void};

use roomcast::{Field, Filter, Labels, Status};

use crate::boundary::{
    Foreign, In, Out, Why, give, given, guard, place, put, roomcast_bytes, roomcast_free_fn,
    roomcast_str,
};
use crate::labels::roomcast_labels;
use crate::publish::{roomcast_publication, texts, with_publication};
use crate::status::roomcast_status;

/// Which publications of a room a member is sent, decided by their labels. It never changes, and
/// may be used from any thread, at the same time, for any engine.
///
/// Made by the `roomcast_filter_new...` functions, used in `roomcast_join`, let go of by
/// `roomcast_filter_free`, whoever joined with it. Filters with the same text
/// (`roomcast_filter_text`) are one: a publication is decided once for all members of a room that
/// have it, so it does not matter whether each has its own.
pub struct roomcast_filter {
    pub(crate) filter: Filter,
}

/// What of a publication a filter looks at.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_field {
    /// The tag of a name.
    Tag = 1,
    /// Its event.
    Event = 2,
    /// Its key.
    Key = 3,
}

/// What a filter asks of a value.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_question {
    /// Is it one of these? Of none it never is.
    OneOf = 1,
    /// Is there one, whatever it is? Takes no values.
    Exists = 2,
    /// Does it begin with one of these?
    StartsWith = 3,
    /// Does it end with one of these?
    EndsWith = 4,
    /// Is one of these somewhere in it?
    Contains = 5,
}

/// How a filter compares a value, which must be a number, with a bound.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_comparison {
    /// It is less.
    Less = 1,
    /// It is less, or the same.
    LessOrEqual = 2,
    /// It is greater.
    Greater = 3,
    /// It is greater, or the same.
    GreaterOrEqual = 4,
}

/// Decides about a publication (`roomcast_filter_new_native`).
///
/// - Thread: one of the engine's own, or the one in `roomcast_engine_turn`; that of the call, in
///   `roomcast_filter_matches`. Several at a time, where there are several shards.
/// - Pointers: all are valid until it returns.
/// - Blocking: no. Meanwhile the connections of its shard wait.
/// - Calls: as in `roomcast_event_fn`. Asked about one publication it must always answer the same:
///   it is asked once for all members that have the filter.
/// - After the stop: none.
/// - It must return: no C++ exception and no longjmp may leave it.
///
/// @param user_data what `roomcast_filter_new_native` was given
/// @param labels what the publication says of itself
/// @param data its payload
/// @return whether members with this filter are sent it
pub type roomcast_predicate_fn = Option<
    extern "C" fn(
        user_data: *mut c_void,
        labels: *const roomcast_labels<'static>,
        data: roomcast_bytes,
    ) -> bool,
>;

/// Gives a filter to C, unless it is faulty.
fn give_filter(
    out: Out<'_, Box<roomcast_filter>>,
    make: impl FnOnce() -> Result<Filter, Status>,
) -> roomcast_status {
    guard(|| {
        let place = place(out)?;
        let filter = make()?;
        match filter.fault() {
            Some(_) => Err(Status::Filter),
            None => {
                give(place, roomcast_filter { filter });
                Ok(())
            }
        }
    })
}

/// Makes a filter from its text, in the syntax of CEL: `tags.side == "ask"`,
/// `double(tags.price) > 100.5 && key in ["BTC", "ETH"]`, `has(tags.side)`,
/// `event.startsWith("trade.")`. What a comparison asks of a label that is missing is unknown, also
/// negated, and a filter that is unknown as a whole does not match.
///
/// Of values that the host did not choose itself make a filter by `roomcast_filter_new_ask`, so
/// that they cannot be read as syntax.
///
/// @param text at most 16 KiB
/// @param filter gets the filter
/// @param why if not NULL, gets a sentence that says at which byte of the text it is wrong
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_FILTER` for a text that is no filter
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new(
    text: roomcast_str,
    filter: Out<'_, Box<roomcast_filter>>,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    give_filter(filter, || {
        Filter::text(text.text()?).map_err(|error| why.told(Status::Filter, &error))
    })
}

/// Makes a filter of a function. It may be part of other filters, which ask it only where the rest
/// has not decided.
///
/// @param name says which predicate it is: two of one name are taken for the same
/// @param user_data given to `call`
/// @param call the function
/// @param free called once with `user_data` when neither a filter that it is part of nor a member
///        needs it any more; may be NULL. Where this function fails, it is not called.
/// @param filter gets the filter
/// @return `ROOMCAST_STATUS_FILTER` for a name of more than 16 KiB
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_native(
    name: roomcast_str,
    user_data: *mut c_void,
    call: roomcast_predicate_fn,
    free: roomcast_free_fn,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    give_filter(filter, || {
        let (name, call) = (name.text()?, given(call)?);
        // Tried first, since the data is the library's from where it is in a filter.
        let tried = Filter::native(name, |_: &Labels, _: &[u8]| false);
        if tried.fault().is_some() {
            return Ok(tried);
        }
        let user = Foreign::new(user_data, free);
        Ok(Filter::native(name, move |labels: &Labels, data: &[u8]| {
            let lent = roomcast_labels::lent(labels);
            call(user.data(), lent.pointer(), roomcast_bytes::of(data))
        }))
    })
}

fn each(filters: &In<In<roomcast_filter>>, count: usize) -> Result<Vec<Filter>, Status> {
    let filters = filters.slice(count)?.iter();
    filters
        .map(|one| Ok(given(one.one())?.filter.clone()))
        .collect()
}

/// Makes a filter that matches what all of these match; everything, of none.
///
/// @param filters an array of `count` filters, which stay the host's
/// @param filter gets the filter
/// @return `ROOMCAST_STATUS_FILTER` where it would be too large (256 questions) or too deep (32)
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_all(
    filters: In<In<roomcast_filter>>,
    count: usize,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    give_filter(filter, || Ok(Filter::all(each(&filters, count)?)))
}

/// Makes a filter that matches what one of these matches; nothing, of none.
///
/// @param filters an array of `count` filters, which stay the host's
/// @param filter gets the filter
/// @return as `roomcast_filter_new_all`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_any(
    filters: In<In<roomcast_filter>>,
    count: usize,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    give_filter(filter, || Ok(Filter::any(each(&filters, count)?)))
}

/// Makes the opposite of a filter. What is unknown to that is unknown to this, so neither matches.
///
/// @param of stays the host's
/// @param filter gets the filter
/// @return as `roomcast_filter_new_all`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_not(
    of: Option<&roomcast_filter>,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    give_filter(filter, || Ok(!given(of)?.filter.clone()))
}

fn read_field(field: u32, tag: &roomcast_str) -> Result<Field, Status> {
    let tag = tag.text()?;
    match field {
        f if f == roomcast_field::Tag as u32 => Ok(Field::Tag(tag.to_owned())),
        f if f == roomcast_field::Event as u32 => Ok(Field::Event),
        f if f == roomcast_field::Key as u32 => Ok(Field::Key),
        _ => Err(Status::InvalidArgument),
    }
}

/// What one of the values makes match.
fn of_each(field: &Field, values: &[&str], make: impl Fn(Field, String) -> Filter) -> Filter {
    let filters = values.iter();
    Filter::any(filters.map(|value| make(field.clone(), (*value).to_owned())))
}

/// Makes a filter of a question.
///
/// @param field one of `roomcast_field`
/// @param tag the tag's name; of other fields it means nothing
/// @param question one of `roomcast_question`
/// @param values an array of `count` values
/// @param filter gets the filter
/// @return as `roomcast_filter_new_all`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_ask(
    field: u32,
    tag: roomcast_str,
    question: u32,
    values: In<roomcast_str>,
    count: usize,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    use roomcast_question as number;
    give_filter(filter, || {
        let field = read_field(field, &tag)?;
        let values = texts(values.slice(count)?)?;
        match question {
            q if q == number::OneOf as u32 => Ok(Filter::one_of(field, values)),
            q if q == number::Exists as u32 && values.is_empty() => Ok(Filter::exists(field)),
            q if q == number::StartsWith as u32 => {
                Ok(of_each(&field, &values, Filter::starts_with))
            }
            q if q == number::EndsWith as u32 => Ok(of_each(&field, &values, Filter::ends_with)),
            q if q == number::Contains as u32 => Ok(of_each(&field, &values, Filter::contains)),
            _ => Err(Status::InvalidArgument),
        }
    })
}

/// Makes a filter that compares a value with a number. Of a value that is no number the answer is
/// unknown.
///
/// @param field one of `roomcast_field`
/// @param tag the tag's name; of other fields it means nothing
/// @param comparison one of `roomcast_comparison`
/// @param bound what is compared with
/// @param filter gets the filter
/// @return `ROOMCAST_STATUS_FILTER` for an infinite bound and one that is no number
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_new_compare(
    field: u32,
    tag: roomcast_str,
    comparison: u32,
    bound: f64,
    filter: Out<'_, Box<roomcast_filter>>,
) -> roomcast_status {
    use roomcast_comparison as number;
    give_filter(filter, || {
        let field = read_field(field, &tag)?;
        match comparison {
            c if c == number::Less as u32 => Ok(Filter::lt(field, bound)),
            c if c == number::LessOrEqual as u32 => Ok(Filter::lte(field, bound)),
            c if c == number::Greater as u32 => Ok(Filter::gt(field, bound)),
            c if c == number::GreaterOrEqual as u32 => Ok(Filter::gte(field, bound)),
            _ => Err(Status::InvalidArgument),
        }
    })
}

/// A filter's text in its canonical form, by which filters are compared; valid as long as the
/// filter. `roomcast_filter_new` makes the same filter of it, unless a native predicate is in it.
/// None for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_text(filter: Option<&roomcast_filter>) -> roomcast_str {
    roomcast_str::of_option(filter.map(|filter| filter.filter.as_str()))
}

/// Whether a filter matches a publication. Rooms and exclusions mean nothing here.
///
/// @param publication its labels and data
/// @param matches gets the answer
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_matches(
    filter: Option<&roomcast_filter>,
    publication: In<roomcast_publication>,
    matches: Out<'_, bool>,
) -> roomcast_status {
    guard(|| {
        let (filter, place) = (given(filter)?, place(matches)?);
        let found = with_publication(&publication, |given| {
            let labels = Labels::new(given.event, given.key, given.tags);
            Ok(filter.filter.matches(&labels, given.publication.data()))
        })?;
        put(Some(place), found);
        Ok(())
    })
}

/// Lets go of a filter; members that joined with it keep it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_filter_free(filter: Option<Box<roomcast_filter>>) {
    guard(|| {
        drop(filter);
        Ok(())
    });
}
