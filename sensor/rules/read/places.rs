//! The folders from which lists are read, now and after a change of their files.

use std::path::{Path, PathBuf};

use super::manifest::Found;
use super::watch::steps;
use crate::input;

/// The folders of the lists that the paths name, and of the links on the way to them. A list file can be replaced by
/// another one of its name, so its folder counts; a file in the root folder stands for itself.
#[must_use]
pub fn places(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Found::default();
    for path in paths {
        // A path that cannot be read is refused when it is loaded.
        let _ = found.add(path);
    }
    let sources = found.sources.into_iter().map(|source| source.path);
    let watched = found.watch.into_iter().map(|watched| watched.path);
    let mut places: Vec<PathBuf> = Vec::new();
    for path in paths.iter().cloned().chain(sources).chain(watched) {
        let of_thread = path.clone();
        let steps = input::answered(&path, move || Ok(steps(&of_thread))).unwrap_or_default();
        let folders = steps.into_iter().map(|(folder, _)| folder);
        places.extend(folders.filter(|folder| folder != Path::new("/")).map(or_current));
        places.push(path);
    }
    places.sort();
    places.dedup();
    places
}

fn or_current(folder: PathBuf) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lists_of_a_manifest_and_behind_links_have_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["feeds", "own", "elsewhere"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("feeds/a.txt"), "a.test\n").unwrap();
        fs::write(at("elsewhere/b.txt"), "b.test\n").unwrap();
        std::os::unix::fs::symlink(at("elsewhere/b.txt"), at("own/b.txt")).unwrap();
        fs::write(at("own/rules.toml"), "[[list]]\nid = \"a\"\npath = \"../feeds/a.txt\"\n").unwrap();
        let places = places(&[at("own/rules.toml"), at("own/b.txt")]);
        let has = |path: &str| places.iter().any(|place| place.canonicalize().is_ok_and(|place| place == at(path)));
        assert!(has("own") && has("feeds") && has("elsewhere"), "{places:?}");
        assert!(!places.contains(&PathBuf::from("/")) && !places.contains(&std::env::temp_dir()), "{places:?}");
    }
}
