use std::fmt;

/// One of the 64 roles that a segment has to give, each to one holder at a time.
///
/// What a role means is up to the caller: producer and consumer of a ring, a participant's line.
///
/// ```
/// use ringway_segment::Role;
///
/// assert_eq!(Role::new(1), Some(Role::SECOND));
/// assert_eq!(Role::new(64), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(u8);

impl Role {
    /// How many roles there are.
    pub const COUNT: u8 = 64;
    /// Role 0.
    pub const FIRST: Role = Role(0);
    /// Role 1.
    pub const SECOND: Role = Role(1);

    /// Role number `index`, `None` if there are not so many.
    #[must_use]
    pub const fn new(index: u8) -> Option<Role> {
        if index < Role::COUNT { Some(Role(index)) } else { None }
    }

    /// The number of this role, below [`Role::COUNT`].
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "role {}", self.0)
    }
}
