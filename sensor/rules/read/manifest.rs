//! The lists that a path names: those of a `rules.toml`, those of a directory, or one list file. Reading the
//! lists is left to `load`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::index::names::{Allow, Scope};
use super::super::lists::{Format, Options};
use super::directory::Directory;
use super::refusal::{ListError, MOST_LISTS, Refusal};
use super::stamp::Watched;
use crate::input;
use crate::name::Urls;

/// A person writes a rules.toml: one that is larger is something else.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// The file that names the lists of a directory.
const MANIFEST: &str = "rules.toml";

/// The lists that the given paths lead to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub sources: Vec<Source>,
    /// Directories, pipes and the like in directories of lists: nothing is read from them.
    pub ignored: Vec<PathBuf>,
    /// Every file and directory whose change means a reload.
    pub watch: Vec<Watched>,
}

/// A list that is to be read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The path that was given to the sensor.
    pub origin: PathBuf,
    /// Where the list is.
    pub path: PathBuf,
    pub settings: Settings,
    /// A directory that a rules.toml names gives no lists; others of the file are read all the same.
    pub error: Option<ListError>,
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
    #[serde(default)]
    pub exceptions: Exceptions,
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

/// The meaning of a match of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Alert,
    /// Names and addresses of this list never alert, even where other lists name them.
    Allow,
}

/// How far the exceptions go that a list holds beside its entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Exceptions {
    /// Exceptions take back entries of their own list only: a public feed has no say in other lists.
    #[default]
    Own,
    /// Exceptions hold for all lists.
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    list: Vec<Settings>,
}

impl Settings {
    pub(super) fn options(&self) -> Options {
        let exceptions = match self.exceptions {
            Exceptions::Own => Allow::OwnList,
            Exceptions::All => Allow::AllLists,
        };
        let (entries, exceptions) = match self.action {
            Action::Alert => (Allow::No, exceptions),
            Action::Allow => (Allow::AllLists, Allow::AllLists),
        };
        Options {
            scope: self.r#match.map(|kind| match kind {
                Match::Suffix => Scope::Suffix,
                Match::Exact => Scope::Exact,
            }),
            entries,
            exceptions,
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

impl Found {
    /// Adds the lists that a path names.
    pub(super) fn add(&mut self, origin: &Path) -> Result<(), ListError> {
        self.watch.push(Watched::new(origin.to_owned()));
        let is_directory = input::metadata(origin).map_err(|error| ListError::new(origin, error))?.is_dir();
        let manifest = if is_directory { origin.join(MANIFEST) } else { origin.to_owned() };
        if is_directory {
            self.watch.push(Watched::new(manifest.clone()));
        }
        let is_manifest = manifest.extension().is_some_and(|extension| extension == "toml");
        if is_manifest && (!is_directory || input::metadata(&manifest).is_ok()) {
            return self.manifest(origin, &manifest);
        }
        let settings = Settings { enabled: true, ..Settings::default() };
        if is_directory {
            return self.directory(origin, origin, &settings);
        }
        let settings = Settings { id: stem(origin), ..settings };
        let (origin, path) = (origin.to_owned(), origin.to_owned());
        self.sources.push(Source { origin, path, settings, error: None });
        Ok(())
    }

    fn manifest(&mut self, origin: &Path, manifest: &Path) -> Result<(), ListError> {
        let before = self.sources.len();
        for settings in read_manifest(manifest)? {
            let path = manifest.parent().unwrap_or(Path::new("")).join(&settings.path);
            self.watch.push(Watched::new(path.clone()));
            let mut error = None;
            if input::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                error = self.directory(origin, &path, &settings).err();
                if error.is_none() {
                    continue;
                }
            }
            self.sources.push(Source { origin: origin.to_owned(), path, settings, error });
        }
        if self.sources.len() - before > MOST_LISTS {
            self.sources.truncate(before);
            return Err(ListError::new(manifest, Refusal::TooManyLists));
        }
        Ok(())
    }

    /// A list for each file of a directory, all with the settings of the directory.
    fn directory(&mut self, origin: &Path, path: &Path, settings: &Settings) -> Result<(), ListError> {
        let found = Directory::read(path).map_err(|error| ListError::new(path, error))?;
        self.ignored.extend(found.ignored);
        if found.lists.is_empty() && !settings.allow_empty {
            return Err(ListError::new(path, Refusal::NoLists));
        }
        if found.lists.len() > MOST_LISTS {
            return Err(ListError::new(path, Refusal::TooManyFiles));
        }
        self.watch.extend(found.lists.iter().cloned().map(Watched::new));
        self.sources.extend(found.lists.into_iter().map(|file| {
            let id = if settings.id.is_empty() { stem(&file) } else { format!("{}/{}", settings.id, stem(&file)) };
            let settings = Settings { id, ..settings.clone() };
            Source { origin: origin.to_owned(), path: file, settings, error: None }
        }));
        Ok(())
    }
}

/// The lists that a rules.toml names and does not disable.
fn read_manifest(manifest: &Path) -> Result<Vec<Settings>, ListError> {
    let text = input::text(manifest, LARGEST_MANIFEST).map_err(|refusal| ListError::new(manifest, refusal))?;
    let wrong = |at: usize, refusal: Refusal| {
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        ListError::at(manifest, line, refusal)
    };
    let parsed: Manifest = toml::from_str(&text).map_err(|error| {
        let reason = error.message().trim().replace('\n', "; ");
        wrong(error.span().map_or(0, |span| span.start), Refusal::Toml(reason))
    })?;
    // Where the tables begin, to name the line of one that is wrong in itself.
    let starts: Vec<usize> = text.match_indices("[[list]]").map(|(at, _)| at).collect();
    let mut ids = HashSet::new();
    for (index, settings) in parsed.list.iter().enumerate() {
        let at = starts.get(index).copied().unwrap_or(0);
        if settings.id.is_empty() || !ids.insert(&settings.id) {
            return Err(wrong(at, Refusal::Id(settings.id.clone())));
        }
        if settings.severity.is_some_and(|severity| severity > 100) {
            return Err(wrong(at, Refusal::Severity));
        }
    }
    Ok(parsed.list.into_iter().filter(|settings| settings.enabled).collect())
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
