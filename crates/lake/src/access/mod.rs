//! Callers and their rights.
//!
//! The listener authenticates each request and puts an `Arc<Caller>` into its extensions. A request without one is
//! refused. Code that acts for a caller asks [`Caller::check`].

mod keys;

pub use keys::{ApiKey, KeyError, Keys, Secret};

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// What a caller may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Send processes, streams and blocks.
    Send,
    /// Run queries.
    Read,
    /// Change the lake: partitions, deny rules, replication from other lakes; see and cancel everybody's queries. Keys are
    /// not a part of it: they are created by those who can reach the lake's files and database.
    Administer,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 3] = [Self::Send, Self::Read, Self::Administer];

    /// The name that `belvedere keys` has for it: `send`, `read`, `admin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Administer => "admin",
        }
    }
}

/// The rights of a caller. The right to administer includes the right to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rights {
    send: bool,
    read: bool,
    administer: bool,
}

impl Rights {
    /// No right.
    pub const NONE: Self = Self { send: false, read: false, administer: false };
    /// All rights.
    pub const ALL: Self = Self { send: true, read: true, administer: true };

    /// These rights and one more.
    #[must_use]
    pub const fn with(mut self, right: Right) -> Self {
        match right {
            Right::Send => self.send = true,
            Right::Read => self.read = true,
            Right::Administer => self.administer = true,
        }
        self
    }

    /// Whether the right is among them.
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

/// Identifies a caller. Names don't: the subject of a token may be any text, and so may the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Identity {
    /// Callers are not authenticated.
    Anybody,
    /// The holder of this key.
    Key(Uuid),
    /// A user of an identity provider.
    Subject {
        /// Issuer of the token.
        issuer: String,
        /// Subject of the token.
        subject: String,
    },
}

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Caller {
    /// Identifies the caller.
    pub identity: Identity,
    /// For logs and lists: name of the key, subject of the token, or `anonymous`.
    pub name: String,
    /// Email address, if the token has one.
    pub email: Option<String>,
    /// What the caller may do.
    pub rights: Rights,
    /// Whether the caller may name a user that it acts for, as a service does for its users.
    pub may_speak_for_others: bool,
}

impl Caller {
    /// A caller without an email address, who speaks for nobody else.
    pub fn new(identity: Identity, name: impl Into<String>, rights: Rights) -> Self {
        Self { identity, name: name.into(), email: None, rights, may_speak_for_others: false }
    }

    /// The caller of every request where callers are not authenticated. May do everything.
    pub fn anybody() -> Arc<Self> {
        Arc::new(Self {
            identity: Identity::Anybody,
            name: "anonymous".to_owned(),
            email: None,
            rights: Rights::ALL,
            may_speak_for_others: true,
        })
    }

    /// Returns an error if the caller lacks the right.
    pub fn check(&self, right: Right) -> Result<(), Refused> {
        if self.rights.has(right) { Ok(()) } else { Err(Refused { name: self.name.clone(), right }) }
    }
}

/// A caller lacks a right.
#[derive(Debug, Error, Clone, PartialEq, Eq, Hash)]
#[error("'{name}' lacks the right '{}': an administrator can create a key that has it with 'belvedere keys create'", right.name())]
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
