//! Which lists there are: from a `rules.toml`, a directory of lists, or single list files. Reading the
//! lists is left to `load`.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use super::super::index::names::Scope;
use super::super::lists::{Format, Options};
use super::watch::Watched;
use crate::name::Urls;

/// A rules.toml is written by people: one that is larger is something else.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// The file that names the lists of a directory.
const MANIFEST: &str = "rules.toml";
/// Files beside lists in a directory that are no lists.
const NO_LISTS: [&str; 8] = [".md", ".toml", "~", ".bak", ".swp", ".tmp", ".part", ".orig"];
/// Class numbers are 16 bits wide, and a list has a few classes.
const MOST_LISTS: usize = 4096;

/// A list that is to be read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The path that was given to the sensor.
    pub origin: PathBuf,
    /// Where the list is.
    pub path: PathBuf,
    pub settings: Settings,
}

/// One `[[list]]` of a rules.toml; `rules/README.md` documents the keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // each is a key of the file
pub(super) struct Settings {
    pub id: String,
    pub path: PathBuf,
    pub name: Option<String>,
    pub format: Option<Format>,
    pub severity: Option<u8>,
    pub severity_max: Option<u8>,
    pub category: Option<String>,
    pub reference: Option<String>,
    pub feed: Option<String>,
    pub r#match: Option<Match>,
    #[serde(default)]
    pub action: Action,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub allow_empty: bool,
    #[serde(default)]
    pub allow_broad: bool,
    #[serde(default)]
    pub url_hosts: bool,
    pub column: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Match {
    Suffix,
    Exact,
}

/// What a match of the list means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Alert,
    /// Names and addresses of this list never alert, whatever other lists say.
    Allow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    list: Vec<Settings>,
}

/// Why a path that was given names no lists.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{}: cannot be read: {reason}; correct the path, or let the sensor's user read it", path.display())]
    Path { path: PathBuf, reason: io::Error },
    #[error("{}: holds no list file; put lists there, or a rules.toml that names them", path.display())]
    NoLists { path: PathBuf },
    #[error("{}:{line}: {reason}", path.display())]
    Manifest { path: PathBuf, line: usize, reason: String },
    #[error("{}: holds more than {MOST_LISTS} list files; join some", path.display())]
    TooMany { path: PathBuf },
}

impl Settings {
    pub(super) fn options(&self) -> Options {
        Options {
            scope: self.r#match.map(|kind| match kind {
                Match::Suffix => Scope::Suffix,
                Match::Exact => Scope::Exact,
            }),
            allow: self.action == Action::Allow,
            allow_broad: self.allow_broad,
            urls: if self.url_hosts { Urls::Hosts } else { Urls::Pages },
            severity_max: self.severity_max,
            column: self.column.clone(),
        }
    }
}

fn yes() -> bool {
    true
}

/// The lists that a path names. `watch` gets every file and directory whose change means a reload.
pub(super) fn sources(origin: &Path, watch: &mut Vec<Watched>) -> Result<Vec<Source>, Unreadable> {
    watch.push(Watched::new(origin.to_owned()));
    let unreadable = |reason| Unreadable::Path { path: origin.to_owned(), reason };
    let is_directory = fs::metadata(origin).map_err(unreadable)?.is_dir();
    let manifest = if is_directory { origin.join(MANIFEST) } else { origin.to_owned() };
    if is_directory {
        watch.push(Watched::new(manifest.clone()));
    }
    let is_manifest = manifest.extension().is_some_and(|extension| extension == "toml");
    if is_manifest && (!is_directory || manifest.exists()) {
        return read_manifest(origin, &manifest, watch);
    }
    if is_directory {
        return directory(origin, origin, &Settings { enabled: true, ..Settings::default() }, watch);
    }
    let settings = Settings { id: stem(origin), enabled: true, ..Settings::default() };
    Ok(vec![Source { origin: origin.to_owned(), path: origin.to_owned(), settings }])
}

fn read_manifest(origin: &Path, manifest: &Path, watch: &mut Vec<Watched>) -> Result<Vec<Source>, Unreadable> {
    let unreadable = |reason| Unreadable::Path { path: manifest.to_owned(), reason };
    if fs::metadata(manifest).map_err(unreadable)?.len() > LARGEST_MANIFEST {
        return Err(unreadable(io::Error::new(ErrorKind::FileTooLarge, "larger than 4 MiB")));
    }
    let text = fs::read_to_string(manifest).map_err(unreadable)?;
    let wrong = |at: usize, reason: String| {
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        Unreadable::Manifest { path: manifest.to_owned(), line, reason }
    };
    let parsed: Manifest = toml::from_str(&text).map_err(|error| {
        wrong(error.span().map_or(0, |span| span.start), error.message().trim().replace('\n', "; "))
    })?;
    // Where the tables begin, to name the line of one that is wrong in itself.
    let starts: Vec<usize> = text.match_indices("[[list]]").map(|(at, _)| at).collect();
    let mut ids = HashSet::new();
    let mut sources = Vec::new();
    for (index, settings) in parsed.list.into_iter().enumerate() {
        let at = starts.get(index).copied().unwrap_or(0);
        if settings.id.is_empty() || !ids.insert(settings.id.clone()) {
            return Err(wrong(
                at,
                format!("the id {:?} is empty, or that of another list; each list needs its own", settings.id),
            ));
        }
        if settings.severity.is_some_and(|severity| severity > 100) {
            return Err(wrong(at, "severity goes from 0 to 100".into()));
        }
        if !settings.enabled {
            continue;
        }
        let path = manifest.parent().unwrap_or(Path::new("")).join(&settings.path);
        watch.push(Watched::new(path.clone()));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            sources.extend(directory(origin, &path, &settings, watch)?);
        } else {
            sources.push(Source { origin: origin.to_owned(), path, settings });
        }
        if sources.len() > MOST_LISTS {
            return Err(wrong(at, format!("more than {MOST_LISTS} lists; join some")));
        }
    }
    Ok(sources)
}

/// A list for each file of a directory, all with the settings of the directory.
fn directory(
    origin: &Path,
    path: &Path,
    settings: &Settings,
    watch: &mut Vec<Watched>,
) -> Result<Vec<Source>, Unreadable> {
    let files = list_files(path).map_err(|reason| Unreadable::Path { path: path.to_owned(), reason })?;
    if files.is_empty() && !settings.allow_empty {
        return Err(Unreadable::NoLists { path: path.to_owned() });
    }
    if files.len() > MOST_LISTS {
        return Err(Unreadable::TooMany { path: path.to_owned() });
    }
    watch.extend(files.iter().cloned().map(Watched::new));
    Ok(files
        .into_iter()
        .map(|file| {
            let id = if settings.id.is_empty() { stem(&file) } else { format!("{}/{}", settings.id, stem(&file)) };
            Source { origin: origin.to_owned(), path: file, settings: Settings { id, ..settings.clone() } }
        })
        .collect())
}

/// The list files of a directory, in the order of their names.
pub(super) fn list_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // A Kubernetes ConfigMap has its versions in directories that begin with dots.
        let no_list =
            name.starts_with('.') || name.starts_with("README") || NO_LISTS.iter().any(|end| name.ends_with(end));
        // What a broken link names is a list that cannot be read.
        if !no_list && fs::metadata(&file).map_or(true, |metadata| metadata.is_file()) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// `evil.txt.gz` is the list `evil`.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name.to_owned(),
    }
}
