//! Who a container runs as: YAML or label, else the image's USER.

use super::error::Fault;
use super::ids::Ids;
use super::layers::Layers;
use super::oci::User;

/// Texts of the image's `/etc/passwd` and `/etc/group`, as far as it has them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Accounts<'a> {
    pub passwd: Option<&'a str>,
    pub group: Option<&'a str>,
}

/// The process's user, group and supplementary groups.
///
/// A `uid`, `gid` or `additionalGids` of YAML or label replaces the image's; a `uid` without `gid` means group 0.
pub(super) fn user(
    layers: &Layers<'_>,
    image_user: &str,
    accounts: Accounts<'_>,
    ids: &Ids,
) -> Result<User, Fault> {
    let given = (layers.pick(|o| o.uid.as_ref()), layers.pick(|o| o.gid.as_ref()));
    let image = match given {
        (Some(_), _) => User::default(),
        (None, _) => from_image(image_user, accounts)?,
    };
    let additional_gids = match layers.pick(|o| o.additional_gids.as_ref()) {
        Some(list) => list.iter().map(|id| ids.resolve(id)).collect::<Result<_, _>>()?,
        None => image.additional_gids,
    };
    Ok(User {
        uid: given.0.map_or(Ok(image.uid), |id| ids.resolve(id))?,
        gid: given.1.map_or(Ok(image.gid), |id| ids.resolve(id))?,
        additional_gids,
    })
}

/// The image's USER (OCI image spec, config.md): `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid`.
fn from_image(text: &str, accounts: Accounts<'_>) -> Result<User, Fault> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    if user.is_empty() && group.is_none() {
        return Ok(User::default());
    }
    let account = accounts.passwd.and_then(|passwd| find_account(passwd, user));
    let (uid, own_gid) = match (&account, user.parse::<u32>()) {
        (Some(account), _) => (account.uid, account.gid),
        (None, Ok(uid)) => (uid, 0),
        (None, Err(_)) if matches!(user, "" | "root") => (0, 0),
        (None, Err(_)) => return Err(Fault::NoUser(user.to_owned())),
    };
    let Some(group) = group else {
        // Members of groups are listed by name, so a number without an account is in none.
        let additional_gids = match (&account, accounts.group) {
            (Some(account), Some(text)) => memberships(text, account.name, own_gid),
            _ => Vec::new(),
        };
        return Ok(User { uid, gid: own_gid, additional_gids });
    };
    let listed = accounts.group.and_then(|text| groups(text).find(|entry| entry.name == group));
    let gid = match (listed, group.parse::<u32>()) {
        (Some(entry), _) => entry.gid,
        (None, Ok(gid)) => gid,
        (None, Err(_)) if group == "root" => 0,
        (None, Err(_)) => return Err(Fault::NoGroup(group.to_owned())),
    };
    Ok(User { uid, gid, additional_gids: Vec::new() })
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

/// The line of passwd(5) whose name is `user`, or else whose number is.
fn find_account<'a>(passwd: &'a str, user: &str) -> Option<Account<'a>> {
    let accounts = || {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.trim().parse().ok()?;
            let gid = fields.next()?.trim().parse().ok()?;
            Some(Account { name, uid, gid })
        })
    };
    let number = user.parse::<u32>().ok();
    accounts()
        .find(|account| account.name == user)
        .or_else(|| accounts().find(|account| Some(account.uid) == number))
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// The lines of group(5).
fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.trim().parse().ok()?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

fn memberships(text: &str, name: &str, own: u32) -> Vec<u32> {
    let mut gids: Vec<u32> = groups(text)
        .filter(|group| group.gid != own && group.members.split(',').any(|member| member.trim() == name))
        .map(|group| group.gid)
        .collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Id, Overrides};
    use crate::spec::Profile;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34::/:/bin/false\nnum:x:7:8::/:\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\ntls:x:50:num,web\nlog:x:40:web\nbroken:x\n";
    const ACCOUNTS: Accounts<'_> = Accounts { passwd: Some(PASSWD), group: Some(GROUP) };

    fn is(uid: u32, gid: u32, additional_gids: &[u32]) -> User {
        User { uid, gid, additional_gids: additional_gids.to_vec() }
    }

    #[test]
    fn the_images_user_is_honoured() {
        for (text, expected) in [
            ("", is(0, 0, &[])),
            ("root", is(0, 0, &[])),
            ("1000", is(1000, 0, &[])),
            ("1000:2000", is(1000, 2000, &[])),
            ("1000:", is(1000, 0, &[])),
            (":5", is(0, 5, &[])),
            ("web", is(33, 34, &[40, 50])),
            ("33", is(33, 34, &[40, 50])),
            ("web:tls", is(33, 50, &[])),
            ("web:9", is(33, 9, &[])),
            ("5:tls", is(5, 50, &[])),
        ] {
            assert_eq!(from_image(text, ACCOUNTS), Ok(expected), "{text}");
        }
    }

    #[test]
    fn names_need_the_images_files_but_numbers_and_root_do_not() {
        let none = Accounts::default();
        assert_eq!(from_image("root:root", none), Ok(is(0, 0, &[])));
        assert_eq!(from_image("5:6", none), Ok(is(5, 6, &[])));
        assert_eq!(from_image("web", none), Err(Fault::NoUser("web".to_owned())));
        assert_eq!(from_image("5:tls", none), Err(Fault::NoGroup("tls".to_owned())));
        assert_eq!(from_image("nobody", ACCOUNTS), Err(Fault::NoUser("nobody".to_owned())));
        assert_eq!(from_image("-1", ACCOUNTS), Err(Fault::NoUser("-1".to_owned())));
        assert_eq!(from_image("4294967296", ACCOUNTS), Err(Fault::NoUser("4294967296".to_owned())));
    }

    #[test]
    fn yaml_and_label_come_before_the_image() {
        let with = |uid: Option<u32>, gid: Option<u32>| Overrides {
            uid: uid.map(Id::Number),
            gid: gid.map(Id::Number),
            ..Overrides::default()
        };
        for (yaml, label, expected) in [
            (with(None, None), with(None, None), is(33, 34, &[40, 50])),
            (with(Some(1), None), with(None, None), is(1, 0, &[])),
            (with(None, None), with(Some(2), Some(3)), is(2, 3, &[])),
            (with(Some(1), None), with(Some(2), Some(3)), is(1, 3, &[])),
            (with(None, Some(4)), with(None, None), is(33, 4, &[40, 50])),
        ] {
            let layers = Layers { yaml: &yaml, label: &label, profile: Profile::Compat };
            assert_eq!(user(&layers, "web", ACCOUNTS, &Ids::default()), Ok(expected), "{yaml:?} {label:?}");
        }
    }

    #[test]
    fn a_given_uid_spares_the_look_up_of_the_images_user() {
        let yaml = Overrides { uid: Some(Id::ROOT), ..Overrides::default() };
        let layers = Layers { yaml: &yaml, label: &Overrides::default(), profile: Profile::Compat };
        assert_eq!(user(&layers, "unknown", Accounts::default(), &Ids::default()), Ok(is(0, 0, &[])));
    }
}
