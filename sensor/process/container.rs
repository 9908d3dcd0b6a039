//! The container that a cgroup path belongs to. Pure text: the path comes from the kernel's record, and names of
//! pods and images are known to the runtime alone.

use std::rc::Rc;

/// A container, as the cgroup path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: Rc<str>,
    /// docker, containerd, cri-o, podman, …; `None` where the path does not name it.
    pub runtime: Option<&'static str>,
    /// UID of the Kubernetes pod, as the API server has it.
    pub pod: Option<Rc<str>>,
}

/// Hexadecimal digits of a container id (OCI runtimes use a SHA-256's worth of random bytes).
const ID_DIGITS: usize = 64;

/// Prefixes of a 64-digit id in a path component, and their runtimes. Monitor processes (`crio-conmon-<id>`,
/// `libpod-conmon-<id>`) live outside of the container and match none of these.
const ID_PREFIXES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("containerd-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
    ("podman-", "podman"),
];

/// Prefixes of a directory `slice:prefix:id` and their runtimes. systemd's notation becomes the name of one
/// directory where kubelet and runtime disagree about the cgroup driver.
const COLON_PREFIXES: &[(&str, &str)] =
    &[("docker", "docker"), ("cri-containerd", "containerd"), ("crio", "cri-o"), ("libpod", "podman")];

/// Parent directories of a bare 64-digit id. Under `kubepods` the path does not name the runtime.
const ID_PARENTS: &[(&str, &str)] = &[("docker", "docker"), ("libpod_parent", "podman"), ("crio", "cri-o")];

impl Container {
    /// The innermost container of a cgroup path, of v1 or v2 and of any cgroup driver.
    #[must_use]
    pub fn of_cgroup(path: &str) -> Option<Self> {
        let mut below: Option<&str> = None;
        let mut components = path.rsplit('/').filter(|part| !part.is_empty()).peekable();
        while let Some(component) = components.next() {
            let above = components.peek().copied();
            let found = by_id(component, above).or_else(|| by_name(component, above, below));
            if let Some(found) = found {
                return Some(Self { pod: pod(path), ..found });
            }
            below = Some(component);
        }
        None
    }
}

/// The pod in which a container is: kubelet makes a cgroup for each, `kubepods-burstable-podUID.slice` by systemd's
/// driver (with `_` for `-`), else `podUID`. The UID is that of the API server, or for a static pod the hash of its
/// manifest.
fn pod(path: &str) -> Option<Rc<str>> {
    path.contains("kubepods").then_some(())?;
    path.rsplit(['/', ':']).find_map(|component| {
        let name = component.strip_suffix(".slice").unwrap_or(component);
        let uid = if name.starts_with("kubepods") { name.rsplit_once("-pod")?.1 } else { name.strip_prefix("pod")? };
        let uid = uid.replace('_', "-");
        let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
        let is_uid = digits == 32 && (uid.len() == 32 || uid.len() == 36 && uid.matches('-').count() == 4);
        is_uid.then(|| uid.into())
    })
}

/// A 64-digit id, with what is around it.
fn by_id(component: &str, above: Option<&str>) -> Option<Container> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, id) = if let Some((rest, id)) = name.rsplit_once(':') {
        let prefix = rest.rsplit_once(':').map_or(rest, |(_, prefix)| prefix);
        (Some(lookup(COLON_PREFIXES, prefix)?), id)
    } else if let Some((runtime, id)) =
        ID_PREFIXES.iter().find_map(|(prefix, runtime)| Some((Some(*runtime), name.strip_prefix(prefix)?)))
    {
        (runtime, id)
    } else {
        (above.and_then(|parent| lookup(ID_PARENTS, parent)), name)
    };
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| Container { id: id.into(), runtime, pod: None })
}

fn lookup(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, runtime)| *runtime)
}

/// Runtimes whose containers have names: LXC, LXD and Incus, systemd-nspawn, machines of libvirt-lxc.
fn by_name(component: &str, above: Option<&str>, below: Option<&str>) -> Option<Container> {
    let container = |id: &str, runtime| {
        let id = unescape(id);
        (!id.is_empty()).then(|| Container { id: id.into(), runtime: Some(runtime), pod: None })
    };
    if let Some(name) = component.strip_prefix("lxc.payload.") {
        return container(name, "lxc");
    }
    // LXC up to 3: /lxc/NAME; LXC 4 with its own layout: /lxc.payload/NAME.
    if matches!(above, Some("lxc" | "lxc.payload")) {
        return container(component, "lxc");
    }
    // nspawn keeps its own process in `supervisor` beside the container's `payload`.
    if below == Some("supervisor") {
        return None;
    }
    if let Some(name) = component.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service")) {
        return container(name, "systemd-nspawn");
    }
    let machine = component.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope"))?;
    // systemd-machined registers virtual machines too; these are no containers of this kernel.
    if let Some(domain) = machine.strip_prefix(r"lxc\x2d") {
        return container(domain, "libvirt-lxc");
    }
    if below == Some("payload") { container(machine, "systemd-nspawn") } else { None }
}

/// systemd's unit name escapes: `\x2d` for a dash (systemd.unit(5), "String Escaping for Inclusion
/// in Unit Names"). Only what is ASCII is undone.
fn unescape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(r"\x") {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let byte = escape.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii_graphic);
        if let (Some(byte), Some(after)) = (byte, escape.get(4..)) {
            text.push(char::from(byte));
            rest = after;
        } else {
            text.push_str(r"\x");
            rest = escape.get(2..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1c0bd2a6d14f5a9b7e8c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f";

    fn found(path: &str) -> Option<(String, Option<&'static str>)> {
        Container::of_cgroup(&path.replace("ID", ID)).map(|found| (found.id.to_string(), found.runtime))
    }

    #[test]
    fn ids() {
        let cases = [
            // Docker: systemd driver on v2, cgroupfs driver on v1, rootless, own parent, init system inside.
            ("/system.slice/docker-ID.scope", Some("docker")),
            ("/docker/ID", Some("docker")),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", Some("docker")),
            ("/actions_job/ID", None),
            ("/docker/ID/system.slice/nginx.service", Some("docker")),
            ("/system.slice/docker-ID.scope/init.scope", Some("docker")),
            // Amazon ECS.
            ("/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/ID", None),
            // Kubernetes: containerd, cri-o, cri-dockerd with the systemd driver; cgroupfs does not name the runtime.
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0b2b3c9e_6b5f_4d0a_9c76_9d3f6a0c2f11.slice/cri-containerd-ID.scope",
                Some("containerd"),
            ),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5a4c.slice/crio-ID.scope",
                Some("cri-o"),
            ),
            ("/kubepods.slice/kubepods-pod5a4c.slice/docker-ID.scope", Some("docker")),
            ("/kubepods/burstable/pod0b2b3c9e-6b5f-4d0a-9c76-9d3f6a0c2f11/ID", None),
            ("/kubepods/besteffort/pod0b2b3c9e/crio-ID", Some("cri-o")),
            (
                "/system.slice/containerd.service/kubepods-burstable-pod0b2b3c9e.slice:cri-containerd:ID",
                Some("containerd"),
            ),
            ("/kubepods-besteffort-pod0b2b3c9e.slice:docker:ID", Some("docker")),
            // Podman: root, rootless, cgroupfs.
            ("/machine.slice/libpod-ID.scope/container", Some("podman")),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", Some("podman")),
            ("/libpod_parent/libpod-ID", Some("podman")),
            ("/system.slice/nerdctl-ID.scope", Some("containerd")),
        ];
        for (path, runtime) in cases {
            assert_eq!(found(path), Some((ID.to_owned(), runtime)), "{path}");
        }
    }

    #[test]
    fn pods() {
        let uid = "0b2b3c9e-6b5f-4d0a-9c76-9d3f6a0c2f11";
        let cases = [
            ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-ID.scope", uid),
            ("/kubepods/burstable/podUID/ID", uid),
            ("/kubepods/podUID/crio-ID", uid),
            ("/system.slice/containerd.service/kubepods-burstable-podUID.slice:cri-containerd:ID", uid),
            ("/kubepods/burstable/pod59a2c3b1f0e94d7f8a6b5c4d3e2f1a0b/ID", "59a2c3b1f0e94d7f8a6b5c4d3e2f1a0b"),
        ];
        for (path, pod) in cases {
            let path = path.replace("ID", ID).replace(&format!("pod{}", "U".to_owned() + ID), &format!("pod{uid}"));
            let path = if path.contains(".slice") { path.replace(uid, &uid.replace('-', "_")) } else { path };
            assert_eq!(Container::of_cgroup(&path).unwrap().pod.as_deref(), Some(pod), "{path}");
        }
        for path in ["/docker/ID", "/kubepods.slice/kubepods-pod5a4c.slice/docker-ID.scope", "/podx/ID"] {
            assert_eq!(Container::of_cgroup(&path.replace("ID", ID)).unwrap().pod, None, "{path}");
        }
    }

    #[test]
    fn innermost_wins() {
        let outer = "e".repeat(ID_DIGITS);
        let path = format!("/docker/{outer}/kubelet.slice/kubelet-kubepods.slice/cri-containerd-ID.scope");
        assert_eq!(found(&path), Some((ID.to_owned(), Some("containerd"))));
    }

    #[test]
    fn names() {
        let cases = [
            ("/lxc/web/init.scope", "web", "lxc"),
            ("/lxc.payload.web-1/system.slice/ssh.service", "web-1", "lxc"),
            ("/lxc.payload/web", "web", "lxc"),
            ("/machine.slice/systemd-nspawn@build.service/payload/init.scope", "build", "systemd-nspawn"),
            (r"/machine.slice/machine-build\x2dbox.scope/payload/system.slice", "build-box", "systemd-nspawn"),
            (r"/machine.slice/machine-lxc\x2d4711\x2dweb.scope", "4711-web", "libvirt-lxc"),
        ];
        for (path, id, runtime) in cases {
            assert_eq!(found(path), Some((id.to_owned(), Some(runtime))), "{path}");
        }
    }

    #[test]
    fn no_container() {
        for path in [
            "",
            "/",
            "/init.scope",
            "/user.slice/user-1000.slice/session-2.scope",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/kubepods-pod5a4c.slice/crio-conmon-ID.scope",
            "/machine.slice/systemd-nspawn@build.service/supervisor",
            r"/machine.slice/machine-qemu\x2d1\x2dwindows.scope/libvirt/emulator",
            "/lxc.monitor.web",
            "/system.slice/docker-compose.scope",
            "/docker/3f1c0bd2a6d1",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5a4c.slice",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\x2db"), "a-b");
        assert_eq!(unescape(r"a\x2"), r"a\x2");
        assert_eq!(unescape(r"\xzz\x0a\x2d"), r"\xzz\x0a-");
        assert_eq!(unescape(r"\x€"), r"\x€");
    }
}
