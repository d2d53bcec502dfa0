// SPDX-License-Identifier: GPL-2.0

//! Names of containers.
//!
//! This file is pure `core`: the same source is tested on the host.

/// The name of a container.
///
/// One to [`Name::MAX`] characters out of `[A-Za-z0-9._-]`, but not `.` or `..`: a name can be a
/// file name, a shell word and a column of a table as it is.
///
/// # Invariants
///
/// `bytes[..len]` are such characters, the rest is zero, so that the derived order is that of the
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    bytes: [u8; Name::MAX],
    len: u8,
}

/// Why something is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Empty, `.` or `..`, or with a character that names do not have.
    Invalid,
    /// Longer than [`Name::MAX`].
    TooLong,
}

impl Name {
    /// The length of the longest name in bytes.
    pub const MAX: usize = 31;

    /// Makes a name of what was written: the name, and a newline or none.
    pub fn parse(line: &[u8]) -> Result<Name, NameError> {
        let name = line.strip_suffix(b"\n").unwrap_or(line);

        if !name.iter().copied().all(Self::is_valid_char) {
            return Err(NameError::Invalid);
        }
        if name.is_empty() || name == b"." || name == b".." {
            return Err(NameError::Invalid);
        }
        if name.len() > Self::MAX {
            return Err(NameError::TooLong);
        }

        let mut bytes = [0; Self::MAX];
        bytes[..name.len()].copy_from_slice(name);
        // INVARIANT: Checked above.
        Ok(Name {
            bytes,
            len: name.len() as u8,
        })
    }

    fn is_valid_char(c: u8) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-')
    }

    /// Returns the characters.
    pub fn as_str(&self) -> &str {
        let name = &self.bytes[..usize::from(self.len)];
        // All of it is ASCII by the invariant, so the default is never used.
        core::str::from_utf8(name).unwrap_or_default()
    }
}
