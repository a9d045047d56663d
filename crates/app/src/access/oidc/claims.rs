//! The claims of a token.

use super::OidcConfig;
use belvedere_lake::access::{Caller, Identity, Right};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Tolerated difference between clocks.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// The claims of a verified token.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Seconds since the Unix epoch.
    pub(super) fn expires(&self) -> i64 {
        let exp = self.0.get("exp");
        // some providers send fractions
        exp.and_then(|exp| exp.as_i64().or_else(|| exp.as_f64().map(|exp| exp as i64))).unwrap_or(0)
    }

    /// The caller; `None` if a required claim is missing.
    pub(super) fn caller(&self, config: &OidcConfig) -> Option<Caller> {
        // the validation also accepts a list of issuers that contains ours
        if self.text("iss") != Some(config.issuer.as_str()) {
            return None;
        }
        let subject = self.text("sub")?;
        if subject.chars().any(char::is_control) {
            return None;
        }
        let is_admin = |admin: &String| {
            admin == subject || self.vouched_email().is_some_and(|email| email.eq_ignore_ascii_case(admin))
        };
        let rights = if config.admins.iter().any(is_admin) {
            config.rights.with(Right::Administer)
        } else {
            config.rights
        };
        let identity = Identity::Subject { issuer: config.issuer.clone(), subject: subject.to_owned() };
        let mut caller = Caller::new(identity, subject, rights);
        caller.email = self.email().map(str::to_owned);
        Some(caller)
    }

    /// The email address, for logs and lists.
    fn email(&self) -> Option<&str> {
        let claimed = || self.text("email").filter(|_| self.is_email_verified() != Some(false));
        self.text("verified_primary_email")
            .or_else(claimed)
            .or_else(|| self.text("preferred_username"))
            .or_else(|| self.text("upn"))
            .or_else(|| self.text("unique_name"))
    }

    /// The email address, if the provider verified it. With some providers users choose any other address claim freely, so
    /// rights must not depend on those.
    fn vouched_email(&self) -> Option<&str> {
        self.text("verified_primary_email")
            .or_else(|| self.text("email").filter(|_| self.is_email_verified() == Some(true)))
    }

    fn is_email_verified(&self) -> Option<bool> {
        match self.0.get("email_verified")? {
            Value::Bool(is_verified) => Some(*is_verified),
            Value::String(text) => Some(text == "true"),
            _ => Some(false),
        }
    }

    /// A text, or the first of a list of texts; `None` if it is empty.
    fn text(&self, name: &str) -> Option<&str> {
        let value = match self.0.get(name)? {
            Value::Array(values) if name == "verified_primary_email" => values.first()?,
            value => value,
        };
        value.as_str().filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(claims: Value) -> Option<Caller> {
        let config = OidcConfig {
            issuer: "https://id".to_owned(),
            audience: "lake".to_owned(),
            admins: vec!["root".to_owned(), "Boss@example.com".to_owned()],
            rights: "read".parse().unwrap(),
        };
        let mut all = json!({"iss": "https://id", "sub": "42"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        serde_json::from_value::<Claims>(all).unwrap().caller(&config)
    }

    #[test]
    fn people_are_called_by_the_best_address_that_there_is() {
        for (claims, expected) in [
            (json!({}), None),
            (json!({"verified_primary_email": ["a@x", "b@x"], "email": "c@x"}), Some("a@x")),
            (json!({"email": "c@x", "upn": "u@x"}), Some("c@x")),
            (json!({"email": "c@x", "email_verified": false, "upn": "u@x"}), Some("u@x")),
            (json!({"email": "c@x", "email_verified": "false"}), None),
            (json!({"email": "", "preferred_username": "p", "unique_name": "n"}), Some("p")),
            (json!({"unique_name": "n"}), Some("n")),
        ] {
            assert_eq!(caller(claims).unwrap().email.as_deref(), expected);
        }
    }

    #[test]
    fn an_address_makes_an_administrator_only_if_the_provider_vouches_for_it() {
        for (claims, is_admin) in [
            (json!({"sub": "root"}), true),
            (json!({"sub": "Root"}), false),
            (json!({"email": "boss@example.com", "email_verified": true}), true),
            (json!({"verified_primary_email": ["boss@example.com"]}), true),
            (json!({"email": "boss@example.com"}), false),
            (json!({"email": "boss@example.com", "email_verified": false}), false),
            (json!({"preferred_username": "boss@example.com", "upn": "root"}), false),
        ] {
            let caller = caller(claims.clone()).unwrap();
            assert_eq!(caller.rights.has(Right::Administer), is_admin, "{claims}");
            assert!(caller.rights.has(Right::Read) && !caller.may_speak_for_others);
        }
    }

    #[test]
    fn who_is_nobody_is_refused() {
        for claims in [
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": null}),
            json!({"sub": "a\nb"}),
            json!({"iss": ["https://id", "https://other"]}),
            json!({"iss": "https://id/"}),
        ] {
            assert_eq!(caller(claims.clone()), None, "{claims}");
        }
    }
}
