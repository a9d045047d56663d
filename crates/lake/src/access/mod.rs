//! Who asks, and what they may.
//!
//! Who a caller is, is found out by whoever listens: it puts an `Arc<Caller>` into the extensions of each request.
//! What has none there is refused. Rooms that do something for a caller ask [`Caller::check`].

mod keys;

pub use keys::{ApiKey, KEY_PATIENCE, KeyError, Keys, Secret};

use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Send processes, streams and blocks.
    Send,
    /// Ask SQL.
    Read,
    /// Change the lake: partitions, rules that deny queries, rows of other lakes; and see and end everybody's queries.
    /// Keys are not a part of that: they are made where the lake's own files and database can be reached.
    Administer,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Send, Self::Read, Self::Administer];

    /// Its name, as `belvedere keys` has it: `send`, `read`, `admin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Administer => "admin",
        }
    }
}

/// Rights that somebody has. To administer includes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    send: bool,
    read: bool,
    administer: bool,
}

impl Rights {
    /// None at all.
    pub const NONE: Self = Self { send: false, read: false, administer: false };
    /// All of them.
    pub const ALL: Self = Self { send: true, read: true, administer: true };

    /// The same and one more.
    #[must_use]
    pub const fn with(mut self, right: Right) -> Self {
        match right {
            Right::Send => self.send = true,
            Right::Read => self.read = true,
            Right::Administer => self.administer = true,
        }
        self
    }

    /// Whether this is allowed.
    pub const fn has(self, right: Right) -> bool {
        match right {
            Right::Send => self.send,
            Right::Read => self.read || self.administer,
            Right::Administer => self.administer,
        }
    }
}

impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = [(self.send, Right::Send), (self.read, Right::Read), (self.administer, Right::Administer)];
        let names: Vec<&str> = held.iter().filter(|(is_held, _)| *is_held).map(|(_, r)| r.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl std::str::FromStr for Rights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Self::NONE, |rights, name| {
            let right = Right::ALL.into_iter().find(|right| right.name() == name);
            right
                .map(|right| rights.with(right))
                .ok_or_else(|| format!("'{name}' is not a right: use send, read and admin"))
        })
    }
}

/// What tells a caller from all others. Names don't: a provider's subject may be any text, a key's name too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Nobody was asked.
    Anybody,
    /// Whoever has this key.
    Key(Uuid),
    /// Somebody whom an identity provider knows.
    Subject {
        /// The provider, as its tokens call it.
        issuer: String,
        /// What it calls them.
        subject: String,
    },
}

/// Whoever sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// How to call them: name of the key, subject of the token, or `anonymous`.
    pub name: String,
    /// Address of a person, where a token tells it.
    pub email: Option<String>,
    /// What they may do.
    pub rights: Rights,
    /// Whether they may say that they ask for somebody else, as a service does for its users.
    pub may_speak_for_others: bool,
}

impl Caller {
    /// Anybody, where nobody is asked who they are.
    pub fn anybody() -> Arc<Self> {
        Arc::new(Self {
            identity: Identity::Anybody,
            name: "anonymous".to_owned(),
            email: None,
            rights: Rights::ALL,
            may_speak_for_others: true,
        })
    }

    /// An error if they may not do this.
    pub fn check(&self, right: Right) -> Result<(), Refused> {
        match self.rights.has(right) {
            true => Ok(()),
            false => Err(Refused { name: self.name.clone(), right }),
        }
    }
}

/// Somebody may not do what they asked for.
#[derive(Debug, Error, Clone, PartialEq, Eq, Hash)]
#[error("'{name}' lacks the right '{}': an administrator can create a key that has it with 'belvedere keys \
         create'", right.name())]
pub struct Refused {
    name: String,
    right: Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_they_are_written() {
        for text in ["", "send", "read", "send,read", "send,read,admin"] {
            assert_eq!(text.parse::<Rights>().unwrap().to_string(), text);
        }
        assert!("write".parse::<Rights>().unwrap_err().contains("'write' is not a right"));
    }

    #[test]
    fn who_administers_may_read_and_who_sends_may_not() {
        let admin: Rights = "admin".parse().unwrap();
        assert!(admin.has(Right::Read) && !admin.has(Right::Send));
        let send: Rights = "send".parse().unwrap();
        assert!(!send.has(Right::Read) && !send.has(Right::Administer));
    }
}
