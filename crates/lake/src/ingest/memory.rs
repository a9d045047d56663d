//! Memory for the bodies of requests: reserved while they arrive, never for what is only announced.
//!
//! A body that grows holds some memory and asks for more. If all memory is held by bodies that wait for more, nothing
//! ever goes on. So a part of the memory, as large as the largest body, is set aside as the *last place*: whoever finds
//! the rest taken waits for a free part of the rest or for the last place, whichever comes first. One body at a time
//! has the last place, and it never has to wait again: whatever it still needs fits there. It ends, because a body that
//! brings too few bytes is cut and no body may take longer than the time limit, and gives back all that it holds. So of
//! the bodies that wait there is always one that can go on, and each gets its turn.
//!
//! Refusing those who can't grow was the alternative: it would throw away what has arrived already, and a crowd of
//! honest large bodies would refuse each other over and over.
//!
//! Small bodies have a share of their own, with a last place of its own, so large ones never stand in their way. A body
//! that is announced as large, or that turns out to be, is in the share of the large ones.

use super::IngestError;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Larger bodies don't use the share of the small ones.
pub(super) const SMALL_BODY: usize = 256 << 10;

/// Memory is counted in units of this many bytes, so that it fits a semaphore's 32 bits.
const UNIT: usize = 1024;

/// All memory for bodies.
#[derive(Debug)]
pub(super) struct BodyMemory {
    small: Arc<Share>,
    large: Arc<Share>,
}

#[derive(Debug)]
struct Share {
    open: Arc<Semaphore>,
    #[cfg(test)]
    open_units: usize,
    last_place: Arc<Semaphore>,
    /// Bytes that fit into the last place.
    last_bytes: usize,
}

/// Memory that is reserved for something; released when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    share: Arc<Share>,
    open: Option<OwnedSemaphorePermit>,
    last_place: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).min(u32::MAX as usize >> 4)
}

impl Share {
    fn new(bytes: usize, last_bytes: usize) -> Arc<Self> {
        let open_units = units(bytes.saturating_sub(last_bytes));
        Arc::new(Self {
            open: Arc::new(Semaphore::new(open_units)),
            #[cfg(test)]
            open_units,
            last_place: Arc::new(Semaphore::new(1)),
            last_bytes,
        })
    }

    fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let open = self.open.clone().try_acquire_many_owned(units(bytes) as u32).ok()?;
        Some(Reservation { share: self.clone(), open: Some(open), last_place: None, bytes })
    }

    #[cfg(test)]
    fn reserved(&self) -> usize {
        let last = (1 - self.last_place.available_permits()) * self.last_bytes;
        (self.open_units - self.open.available_permits()) * UNIT + last
    }

    fn nothing(self: &Arc<Self>) -> Reservation {
        Reservation { share: self.clone(), open: None, last_place: None, bytes: 0 }
    }
}

impl BodyMemory {
    /// `total` bytes, of which a quarter is for small bodies; more if `body` bytes, the largest body, would not fit.
    pub(super) fn new(total: usize, body: usize) -> Self {
        let small = (total / 4).min(total.saturating_sub(body)).max(4 * SMALL_BODY);
        let large = total.saturating_sub(small).max(body);
        Self { small: Share::new(small, SMALL_BODY), large: Share::new(large, body) }
    }

    /// A reservation of nothing, to be grown, for a body that will have so many bytes, as far as is known.
    pub(super) fn nothing(&self, announced: usize) -> Reservation {
        if announced > SMALL_BODY { self.large.nothing() } else { self.small.nothing() }
    }

    /// Bytes that are reserved.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        [&self.small, &self.large].iter().map(|share| share.reserved()).sum()
    }

    /// Makes a reservation at least `bytes` large, which must be at most the largest body. Waits for it until `end`. Returns
    /// whether it waited.
    pub(super) async fn grow(
        &self,
        reservation: &mut Reservation,
        bytes: usize,
        end: Instant,
    ) -> Result<bool, IngestError> {
        if bytes <= reservation.bytes {
            return Ok(false);
        }
        let is_small = Arc::ptr_eq(&reservation.share, &self.small);
        if bytes > SMALL_BODY && is_small {
            let mut large = self.large.nothing();
            let has_waited = large.grow(bytes, end).await?;
            *reservation = large;
            return Ok(has_waited);
        }
        if reservation.try_grow(bytes) {
            return Ok(false);
        }
        // the small ones may use what is free of the other share
        if is_small && let Some(large) = self.large.try_reserve(bytes) {
            *reservation = large;
            return Ok(false);
        }
        reservation.grow(bytes, end).await
    }
}

impl Reservation {
    /// How many bytes are reserved.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Releases what the reservation has beyond `bytes`, and the last place if there is room elsewhere.
    pub fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes);
        if self.last_place.is_some() {
            let missing = self.missing(self.bytes);
            if let Ok(more) = self.share.open.clone().try_acquire_many_owned(missing) {
                self.add(more, self.bytes);
                self.last_place = None;
            }
        }
        let needed = units(self.bytes);
        if let Some(open) = &mut self.open
            && let Some(rest) = open.num_permits().checked_sub(needed)
        {
            drop(open.split(rest));
        }
    }

    fn missing(&self, bytes: usize) -> u32 {
        let held = self.open.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        units(bytes).saturating_sub(held) as u32
    }

    fn try_grow(&mut self, bytes: usize) -> bool {
        // who has the last place has room for the largest body there
        if self.last_place.is_some() && bytes <= self.share.last_bytes {
            self.bytes = bytes;
            return true;
        }
        let more = self.share.open.clone().try_acquire_many_owned(self.missing(bytes));
        more.is_ok_and(|more| {
            self.add(more, bytes);
            true
        })
    }

    fn add(&mut self, more: OwnedSemaphorePermit, bytes: usize) {
        match &mut self.open {
            Some(open) => open.merge(more),
            None => self.open = Some(more),
        }
        self.bytes = bytes;
    }

    async fn grow(&mut self, bytes: usize, end: Instant) -> Result<bool, IngestError> {
        // a timer wakes a thread: a request that need not wait gets none
        if self.try_grow(bytes) {
            return Ok(false);
        }
        let busy = || IngestError::Unavailable("the server is busy with other requests".into());
        let open = self.share.open.clone().acquire_many_owned(self.missing(bytes));
        let last_place = self.share.last_place.clone().acquire_owned();
        tokio::select! {
            biased;
            more = open => self.add(more.map_err(|_| busy())?, bytes),
            last = last_place => {
                self.last_place = Some(last.map_err(|_| busy())?);
                self.bytes = bytes;
            }
            () = tokio::time::sleep_until(end) => return Err(busy()),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;

    const MIB: usize = 1 << 20;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn bodies_that_all_wait_for_more_get_on_one_by_one() {
        let memory = BodyMemory::new(8 * MIB, 2 * MIB);
        let mut held = Vec::new();
        // all of it but the last place is taken in parts
        for _ in 0..4 {
            let mut part = memory.nothing(2 * MIB);
            assert!(!memory.grow(&mut part, MIB, later()).await.unwrap());
            held.push(part);
        }
        let mut last = held.pop().unwrap();
        assert!(memory.grow(&mut last, 2 * MIB, later()).await.unwrap(), "it gets the last place");
        let mut next = held.pop().unwrap();
        assert!(memory.grow(&mut next, 2 * MIB, later()).now_or_never().is_none(), "which is taken now");
        last.shrink(10);
        assert_eq!((last.bytes(), last.last_place.is_some()), (10, false));
        memory.grow(&mut next, 2 * MIB, later()).now_or_never().unwrap().unwrap();
        drop((next, last));
        for mut part in held {
            memory.grow(&mut part, 2 * MIB, later()).now_or_never().unwrap().unwrap();
        }
        assert_eq!(memory.reserved(), 0);
    }

    #[tokio::test]
    async fn small_bodies_don_t_wait_for_large_ones_and_may_use_their_share() {
        let memory = BodyMemory::new(8 * MIB, 2 * MIB);
        let mut large = Vec::new();
        for _ in 0..3 {
            let mut body = memory.nothing(2 * MIB);
            memory.grow(&mut body, 2 * MIB, later()).now_or_never().unwrap().unwrap();
            large.push(body);
        }
        let mut small = Vec::new();
        for _ in 0..8 {
            let mut body = memory.nothing(SMALL_BODY);
            memory.grow(&mut body, SMALL_BODY, later()).now_or_never().unwrap().unwrap();
            small.push(body);
        }
        let mut one_more = memory.nothing(100);
        assert!(memory.grow(&mut one_more, 100, later()).now_or_never().is_none());
        large.pop();
        large.pop();
        memory.grow(&mut one_more, 100, later()).now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_no_longer_needed_is_released_and_a_body_may_have_the_largest_size_whatever_the_total() {
        let memory = BodyMemory::new(MIB, 4 * MIB);
        let mut body = memory.nothing(0);
        for size in [10, SMALL_BODY, SMALL_BODY + 1, 4 * MIB] {
            memory.grow(&mut body, size, later()).await.unwrap();
            assert_eq!(body.bytes(), size);
        }
        body.shrink(10);
        assert_eq!(body.bytes(), 10);
        drop(body);
        assert_eq!(memory.reserved(), 0);
    }
}
