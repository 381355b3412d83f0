//! One numbered list of results for Rust and C.

use core::ffi::CStr;

/// Why an operation did not do what it was asked. The numbers are part of the
/// C ABI: none is ever reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// No free slot, or no free run of that length.
    OutOfSlots = 1,
    /// The slot lies outside the table.
    BadSlot = 2,
    /// The badge is zero, all ones, or wider than the table's badges.
    BadBadge = 3,
    /// The badge is in the table already.
    Exists = 4,
    /// The badge is not in the table.
    NotFound = 5,
    /// The slot is not allocated (freed twice, or never handed out).
    NotAllocated = 6,
    /// The slot is allocated, or still referenced.
    InUse = 7,
    /// The known capability of that badge is alive and another one.
    Forged = 8,
    /// The kernel refused to map the capability.
    MapFailed = 9,
    /// The memory is too small for a header, or for the capacity asked for.
    TooSmall = 10,
    /// The memory does not start at a multiple of 64.
    Misaligned = 11,
    /// The region is zeroed, or its table is private to the owner.
    Unpublished = 12,
    /// Header field "magic" is neither zero nor ours.
    BadMagic = 13,
    /// Header field "version" names a layout that this code does not know.
    BadVersion = 14,
    /// Header field "size" contradicts capacity or memory.
    BadSize = 15,
    /// Header field "capacity" is outside 64 to 128 Ki.
    BadCapacity = 16,
    /// Header field "first user slot" is not below the capacity.
    BadFirstUser = 17,
    /// Header field "selector shift" is above 32.
    BadShift = 18,
    /// Header field "badge bits" is outside 1 to 28.
    BadBadgeBits = 19,
    /// Header field "slots offset" is not the one of this version.
    BadSlotsOffset = 20,
    /// Header field "label" is not UTF-8.
    BadLabel = 21,
    /// The owner has moved its table to another region.
    Retired = 22,
    /// Another monitor holds the claim, or the other side kept the table busy beyond the
    /// bound.
    Busy = 23,
    /// The owner kept changing the table while the batch was being prepared.
    Changed = 24,
    /// The batch names a slot twice.
    DuplicateSlot = 25,
    /// Two slots would carry the same badge.
    DuplicateBadge = 26,
    /// The slot carries another badge than expected.
    UnexpectedBadge = 27,
    /// The slot carries no badge that could be rewritten.
    NotRewritable = 28,
    /// A pointer argument is null, or an argument is out of its range.
    BadArgument = 29,
    /// The region holds words that no correct peer writes.
    Corrupt = 30,
    /// The memory is not zeroed: it is another table's, or was one of this owner.
    NotEmpty = 31,
    /// The checksum of the header does not fit the rest of it.
    BadChecksum = 32,
    /// Header field "kind" names no kind of table, or the table is of a kind that is never
    /// published.
    BadKind = 33,
    /// The area behind the slots is misaligned, or does not lie in the memory.
    BadArea = 34,
    /// The owner lies at another address than at its creation.
    Relocated = 35,
}

/// Messages by number.
const MESSAGES: [&CStr; 36] = [
    c"done",
    c"no free slot",
    c"slot outside the table",
    c"badge is reserved or too wide",
    c"badge exists already",
    c"badge not found",
    c"slot is not allocated",
    c"slot is in use",
    c"badge belongs to another capability",
    c"kernel refused to map",
    c"memory too small",
    c"memory misaligned",
    c"table not published yet",
    c"header: bad magic",
    c"header: unknown layout version",
    c"header: bad size",
    c"header: bad capacity",
    c"header: bad first user slot",
    c"header: bad selector shift",
    c"header: bad badge bits",
    c"header: bad slots offset",
    c"header: bad label",
    c"table has moved elsewhere",
    c"table kept busy by the other side",
    c"table changed meanwhile",
    c"slot named twice",
    c"badge would exist twice",
    c"slot carries another badge",
    c"slot carries no badge",
    c"bad argument",
    c"region is corrupt",
    c"memory is not empty",
    c"header: bad checksum",
    c"bad kind of table",
    c"bad area behind the slots",
    c"owner lies at another address",
];

/// A short English message for a status number, without a full stop.
pub const fn message(status: u32) -> &'static CStr {
    if (status as usize) < MESSAGES.len() { MESSAGES[status as usize] } else { c"unknown status" }
}

impl Status {
    /// A short English message, without a full stop.
    pub fn message(self) -> &'static str {
        message(self as u32).to_str().unwrap_or("")
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}
