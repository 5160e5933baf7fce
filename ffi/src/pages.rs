//! Pages: plain GET requests answered by a function of the host's, from memory.

use std::ffi::c_void;
use std::ptr::from_ref;

use roomcast::{Page, Request, Status};

use crate::boundary::{Foreign, given, guard, roomcast_bytes, roomcast_str};
use crate::request::roomcast_request;
use crate::status::roomcast_status;

/// The answer to a plain GET request, filled by `roomcast_page_set` inside a page function.
pub struct roomcast_page {
    page: Option<Page>,
}

/// Answers a plain GET request (`roomcast_config_set_pages`).
///
/// - Thread, blocking, calls, what may leave it: as in `roomcast_event_fn`.
/// - Pointers: all are valid until it returns.
/// - After the stop: none.
///
/// @param user_data what `roomcast_config_set_pages` was given
/// @param request what is asked for
/// @param page to be filled by `roomcast_page_set`; left alone, the answer is 404
pub type roomcast_page_fn = Option<
    extern "C" fn(
        user_data: *mut c_void,
        request: *const roomcast_request<'static>,
        page: *mut roomcast_page,
    ),
>;

type PageFn = extern "C" fn(*mut c_void, *const roomcast_request<'static>, *mut roomcast_page);

pub(crate) struct Pages {
    user: Foreign,
    call: PageFn,
}

impl Pages {
    pub(crate) fn new(user: Foreign, call: PageFn) -> Self {
        Pages { user, call }
    }

    pub(crate) fn answer(&self, request: &Request) -> Option<Page> {
        let mut page = roomcast_page { page: None };
        let request = roomcast_request::lent(request);
        (self.call)(self.user.data(), from_ref(&request).cast(), &mut page);
        page.page
    }
}

/// Fills in the answer; a second call replaces the first.
///
/// @param page what the page function was given
/// @param http_status 200 to 599
/// @param content_type such as "text/html; charset=utf-8"
/// @param body copied
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_page_set(
    page: Option<&mut roomcast_page>,
    http_status: u32,
    content_type: roomcast_str,
    body: roomcast_bytes,
) -> roomcast_status {
    guard(|| {
        let (page, body) = (given(page)?, body.bytes()?.to_vec());
        let status = u16::try_from(http_status).ok();
        let status = given(status.filter(|s| (200..600).contains(s)))?;
        let content_type = content_type.text()?;
        if content_type.contains(['\r', '\n', '\0']) {
            return Err(Status::InvalidArgument);
        }
        page.page = Some(Page::new(content_type, body).status(status));
        Ok(())
    })
}
