// SPDX-License-Identifier: GPL-2.0

//! The container object.

use super::{layout::Id, name::Name};

/// What a view knows of its container.
///
/// It lives as long as the view, which may be far longer than the container: an open pidfd is
/// enough. So it holds no reference on anything.
pub(crate) struct Container {
    name: Name,
    id: Id,
}

impl Container {
    /// Makes the container `name` with the number `id`.
    pub(crate) fn new(name: Name, id: Id) -> Self {
        Self { name, id }
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the id.
    pub(crate) fn id(&self) -> Id {
        self.id
    }
}
