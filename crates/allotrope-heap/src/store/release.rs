//! Where memory goes that nobody needs: back to the source, region by region.

use allotrope_core::parts::release_clean;
use allotrope_core::{Event, EventKind, Hook, Policy, Source, poison};

use super::Store;
use crate::pages::Pages;
use crate::pocket::Pocket;

impl<S: Source, P: Policy, H: Hook> Store<S, P, H> {
    /// Gives back the regions of which nothing is in use, and what is behind free pages of the
    /// others.
    pub(crate) fn trim(&mut self) {
        self.discard_free();
        let mut kept = None;
        while let Some(mut head) = self.pages {
            // SAFETY: heads in the list are ours and initialized; this one leaves the list.
            let pages = unsafe { head.as_mut() };
            self.pages = pages.next;
            if pages.used == 0 {
                let (start, bytes) = pages.span();
                self.account.credit(pages.bytes_held());
                self.note(EventKind::Release, start, bytes);
                // SAFETY: as above, and nothing in it is in use.
                let region = unsafe { Pages::into_region(head) };
                // SAFETY: the region is on loan, and nobody needs what is in it.
                unsafe { release_clean(&self.source, region) };
            } else {
                pages.next = kept;
                kept = Some(head);
            }
        }
        while let Some(mut head) = kept {
            // SAFETY: as above; it is in no list now.
            unsafe {
                kept = head.as_mut().next;
                self.link(head);
            }
        }
        if self.pocket.as_ref().is_some_and(Pocket::is_unused) {
            // SAFETY: just asked.
            unsafe { self.release_pocket() };
        }
        self.is_open = self.pocket.is_some() || self.pages.is_some();
        // SAFETY: always this source.
        unsafe { self.large.trim(&self.source) };
    }
}

impl<S: Source, P, H: Hook> Store<S, P, H> {
    /// Gives the pocket's region back.
    ///
    /// # Safety
    ///
    /// Nobody uses a page of it any more.
    unsafe fn release_pocket(&mut self) {
        if let Some(pocket) = self.pocket.take() {
            self.account.credit(pocket.bytes_held());
            let is_whole = pocket.is_whole();
            let region = pocket.into_region();
            self.note(EventKind::Release, region.start(), region.size());
            poison::unpoison(region.start(), region.size());
            // SAFETY: the region is on loan, committed if it is all in use, and nobody needs what is in
            // it (caller).
            unsafe {
                if is_whole {
                    self.source.release_or_keep(region);
                } else {
                    self.source.release(region);
                }
            }
        }
    }

    /// Gives all regions with tables back.
    ///
    /// # Safety
    ///
    /// Nobody uses any page any more.
    #[cold]
    #[inline(never)]
    unsafe fn release_pages(&mut self) {
        while let Some(head) = self.pages {
            // SAFETY: heads in the list are ours and initialized; this one leaves the list.
            let region = unsafe {
                self.pages = head.as_ref().next;
                let (start, bytes) = head.as_ref().span();
                self.note(EventKind::Release, start, bytes);
                Pages::into_region(head)
            };
            // SAFETY: the region is on loan, and nobody needs what is in it (caller).
            unsafe { release_clean(&self.source, region) };
        }
    }

    /// Gives all extents back.
    ///
    /// # Safety
    ///
    /// Nobody uses a large block any more.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn release_large(&mut self) {
        // SAFETY: always this source, and nobody needs a large block any more (caller).
        unsafe {
            self.large.release_all(&self.source, |address, extent| {
                self.log.push(|| Event::internal(EventKind::Release, address, extent));
            });
        }
    }
}

impl<S: Source, P, H: Hook> Drop for Store<S, P, H> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: blocks go with their heap; and it is always this source.
        unsafe {
            if self.pages.is_some() {
                self.release_pages();
            }
            self.release_pocket();
            if self.large.bytes_held() != 0 {
                self.release_large();
                self.large.trim(&self.source);
            }
        }
        self.log.take().deliver();
    }
}
