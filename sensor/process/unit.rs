//! The unit of systemd that a cgroup path belongs to (systemd.unit(5), systemd.slice(5)). Pure text: the path comes
//! from the kernel's record.

use std::rc::Rc;

/// A unit of systemd, as the cgroup path names it. Each part is absent where the path has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Service or scope of the system's manager: `ssh.service`, `session-2.scope`, `user@1000.service`.
    pub name: Option<Rc<str>>,
    /// Service or scope of a user's own manager, below `user@UID.service`.
    pub user_name: Option<Rc<str>>,
    /// The innermost slice that `name` lies in.
    pub slice: Option<Rc<str>>,
    /// Number of the login session (`loginctl`).
    pub session: Option<Rc<str>>,
}

impl Unit {
    /// `None` where the path belongs to no unit: no systemd, or a container's own cgroup.
    #[must_use]
    pub fn of_cgroup(path: &str) -> Option<Self> {
        let mut components = path.split('/').filter(|part| !part.is_empty());
        let (slice, name) = inside_slices(&mut components);
        let user_name = match name {
            Some(name) if name.starts_with("user@") && name.ends_with(".service") => inside_slices(&mut components).1,
            _ => None,
        };
        let session = name.and_then(|name| name.strip_prefix("session-")?.strip_suffix(".scope"));
        (slice.is_some() || name.is_some()).then(|| Self {
            name: name.map(Rc::from),
            user_name: user_name.map(Rc::from),
            slice: slice.map(Rc::from),
            session: session.map(Rc::from),
        })
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.name, &self.user_name, &self.slice, &self.session];
        texts.into_iter().flatten().map(|text| text.len()).sum()
    }
}

/// Passes over slices; returns the last slice, and the unit behind it.
fn inside_slices<'a>(components: &mut impl Iterator<Item = &'a str>) -> (Option<&'a str>, Option<&'a str>) {
    let mut slice = None;
    for component in components {
        if has_suffix(component, ".slice") {
            slice = Some(component);
        } else {
            return (
                slice,
                Some(component).filter(|name| [".service", ".scope"].iter().any(|end| has_suffix(name, end))),
            );
        }
    }
    (slice, None)
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    name.len() > suffix.len() && name.ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, user's name, slice and session.
    fn parts(path: &str) -> Option<[Option<String>; 4]> {
        let unit = Unit::of_cgroup(path)?;
        Some([unit.name, unit.user_name, unit.slice, unit.session].map(|part| part.map(|part| part.to_string())))
    }

    fn expected(parts: [&str; 4]) -> [Option<String>; 4] {
        parts.map(|part| (!part.is_empty()).then(|| part.to_owned()))
    }

    #[test]
    fn services_scopes_sessions_and_users() {
        let cases = [
            ("/system.slice/nginx.service", ["nginx.service", "", "system.slice", ""]),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                ["getty@tty1.service", "", "system-getty.slice", ""],
            ),
            ("/system.slice/nginx.service/workers", ["nginx.service", "", "system.slice", ""]),
            ("/user.slice/user-1000.slice/session-2.scope", ["session-2.scope", "", "user-1000.slice", "2"]),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope",
                ["user@1000.service", "app-firefox.scope", "user-1000.slice", ""],
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope",
                ["user@1000.service", "init.scope", "user-1000.slice", ""],
            ),
            ("/init.scope", ["init.scope", "", "", ""]),
            ("/system.slice/docker-0123.scope", ["docker-0123.scope", "", "system.slice", ""]),
            ("/kubepods.slice/kubepods-pod5a4c.slice/", ["", "", "kubepods-pod5a4c.slice", ""]),
        ];
        for (path, wanted) in cases {
            assert_eq!(parts(path), Some(expected(wanted)), "{path}");
        }
    }

    #[test]
    fn no_unit() {
        for path in ["", "/", "/docker/0123", "/lxc.payload.web/system.slice/ssh.service", "/.service", "/.slice"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
