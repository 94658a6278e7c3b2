//! Who may do what: every decision on access, as plain functions of who asks and which flaws are on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::flaw::{Flaw, FlawSet};

/// Says what a person may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Talks, searches and sees their own account.
    Member,
    /// The same, in the customs office.
    Clerk,
    /// Sees every account and grants roles.
    Admin,
}

impl Role {
    /// Lists every role.
    pub const ALL: [Self; 3] = [Self::Member, Self::Clerk, Self::Admin];

    /// Returns the role as messages and headers spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Clerk => "clerk",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Somebody who proved to be a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) role: Role,
}

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denied {
    NotLoggedIn,
    Forbidden,
}

/// What somebody is to a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    Member,
    /// No member, but the room is open to all who are logged in.
    Welcome,
    Stranger,
}

/// Decides whether anything beyond logging in is answered.
pub(crate) fn may_ask(who: Option<&Person>, flaws: FlawSet) -> Result<(), Denied> {
    if who.is_some() || flaws.has(Flaw::UnauthenticatedAccess) { Ok(()) } else { Err(Denied::NotLoggedIn) }
}

/// Decides whether the account of `user` is shown.
pub(crate) fn may_see_account(who: Option<&Person>, user: &str, flaws: FlawSet) -> Result<(), Denied> {
    may_ask(who, flaws)?;
    // Strangers came this far by a flaw of their own.
    let shown = who.is_none_or(|person| {
        person.user == user || person.role == Role::Admin || flaws.has(Flaw::MissingOwnership)
    });
    if shown { Ok(()) } else { Err(Denied::Forbidden) }
}

/// Decides whether a room is read, joined or written to.
pub(crate) fn may_enter(who: Option<&Person>, standing: Standing, flaws: FlawSet) -> Result<(), Denied> {
    may_ask(who, flaws)?;
    let invited = matches!(standing, Standing::Member | Standing::Welcome);
    if invited || flaws.has(Flaw::UnauthenticatedAccess) { Ok(()) } else { Err(Denied::Forbidden) }
}

/// Decides whether an operation of the administrator's is carried out.
///
/// Being logged in is asked for in any case: the flaw is a forgotten check of the role, not of the login.
pub(crate) fn may_administer(who: Option<&Person>, flaws: FlawSet) -> Result<(), Denied> {
    let person = who.ok_or(Denied::NotLoggedIn)?;
    if person.role == Role::Admin || flaws.has(Flaw::MissingAuthorisation) {
        Ok(())
    } else {
        Err(Denied::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: FlawSet = FlawSet::none();

    #[test]
    fn a_safe_application_answers_only_who_is_logged_in() {
        assert_eq!(may_ask(None, NONE), Err(Denied::NotLoggedIn));
        assert_eq!(may_ask(Some(&mara()), NONE), Ok(()));
        assert_eq!(may_ask(None, only(Flaw::UnauthenticatedAccess)), Ok(()));
        assert_eq!(
            may_ask(None, FlawSet::all().without(Flaw::UnauthenticatedAccess)),
            Err(Denied::NotLoggedIn)
        );
    }

    #[test]
    fn an_account_is_for_its_owner_and_the_administrator() {
        assert_eq!(may_see_account(Some(&mara()), "mara", NONE), Ok(()));
        assert_eq!(may_see_account(Some(&mara()), "ines", NONE), Err(Denied::Forbidden));
        assert_eq!(may_see_account(Some(&admin()), "ines", NONE), Ok(()));
        assert_eq!(may_see_account(None, "ines", NONE), Err(Denied::NotLoggedIn));
        assert_eq!(may_see_account(None, "ines", only(Flaw::UnauthenticatedAccess)), Ok(()));
        assert_eq!(may_see_account(Some(&mara()), "ines", only(Flaw::MissingOwnership)), Ok(()));
        assert_eq!(may_see_account(None, "ines", only(Flaw::MissingOwnership)), Err(Denied::NotLoggedIn));
        assert_eq!(
            may_see_account(Some(&mara()), "ines", FlawSet::all().without(Flaw::MissingOwnership)),
            Err(Denied::Forbidden)
        );
        assert_eq!(
            may_see_account(Some(&mara()), "ines", only(Flaw::MissingAuthorisation)),
            Err(Denied::Forbidden)
        );
    }

    #[test]
    fn a_closed_room_is_for_its_members() {
        for (standing, expected) in [
            (Standing::Member, Ok(())),
            (Standing::Welcome, Ok(())),
            (Standing::Stranger, Err(Denied::Forbidden)),
        ] {
            assert_eq!(may_enter(Some(&mara()), standing, NONE), expected, "{standing:?}");
            assert_eq!(may_enter(None, standing, NONE), Err(Denied::NotLoggedIn), "{standing:?}");
            assert_eq!(may_enter(None, standing, only(Flaw::UnauthenticatedAccess)), Ok(()), "{standing:?}");
        }
    }

    #[test]
    fn administration_is_for_the_administrator() {
        assert_eq!(may_administer(Some(&admin()), NONE), Ok(()));
        assert_eq!(may_administer(Some(&mara()), NONE), Err(Denied::Forbidden));
        assert_eq!(may_administer(Some(&mara()), only(Flaw::MissingAuthorisation)), Ok(()));
        assert_eq!(may_administer(Some(&mara()), only(Flaw::UnauthenticatedAccess)), Err(Denied::Forbidden));
        assert_eq!(may_administer(None, FlawSet::all()), Err(Denied::NotLoggedIn));
    }

    fn only(flaw: Flaw) -> FlawSet {
        FlawSet::none().with(flaw)
    }

    fn mara() -> Person {
        Person { user: "mara".into(), role: Role::Member }
    }

    fn admin() -> Person {
        Person { user: "admin".into(), role: Role::Admin }
    }
}
