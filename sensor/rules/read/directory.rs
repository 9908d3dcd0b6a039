//! The list files of a directory, and what stands there and is no list.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::input;

/// Files beside lists in a directory that are no lists.
const NO_LISTS: [&str; 8] = [".md", ".toml", "~", ".bak", ".swp", ".tmp", ".part", ".orig"];

/// The content of a directory of lists, in the order of names.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub lists: Vec<PathBuf>,
    /// Directories, pipes and the like: no list is read from them.
    pub ignored: Vec<PathBuf>,
}

impl Directory {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut directory = Self::default();
        let of_thread = path.to_owned();
        let entries = input::answered(path, move || {
            let entry = |entry: io::Result<fs::DirEntry>| {
                let entry = entry?;
                Ok((entry.path(), entry.file_type()?))
            };
            fs::read_dir(of_thread)?.map(entry).collect::<io::Result<Vec<_>>>()
        })?;
        for (file, kind) in entries {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // A Kubernetes ConfigMap has its versions in directories that begin with dots.
            let no_list =
                name.starts_with('.') || name.starts_with("README") || NO_LISTS.iter().any(|end| name.ends_with(end));
            if no_list {
                continue;
            }
            // A broken link stands for a list that cannot be read.
            let is_list = kind.is_file()
                || kind.is_symlink() && input::metadata(&file).map_or(true, |metadata| metadata.is_file());
            if is_list {
                directory.lists.push(file);
            } else {
                directory.ignored.push(file);
            }
        }
        directory.lists.sort();
        directory.ignored.sort();
        Ok(directory)
    }
}
