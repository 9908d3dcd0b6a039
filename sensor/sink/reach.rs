//! The reach of an output: the folders and files that it opens while it runs, and whether it makes connections. The
//! walls around the process leave these open, and nothing else.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::target::{Receiver, Route, Target, Tls};
use crate::input;

/// The reach of several outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    pub reads: Vec<PathBuf>,
    /// Folders in which files are made and renamed, and devices.
    pub writes: Vec<PathBuf>,
    pub connects: bool,
}

impl Target {
    /// Adds the reach of this output.
    pub fn reach(&self, reach: &mut Reach) {
        match &self.route {
            // The terminal or pipe behind it is opened anew.
            Route::Stdout => reach.writes.extend(["/proc/self/fd".into()].into_iter().chain(terminal())),
            Route::File { path, .. } if is_device(path) => reach.writes.push(path.clone()),
            Route::File { path, .. } => reach.writes.push(folder_of(path)),
            Route::Syslog(syslog) => {
                reach.connects = true;
                if let Receiver::Tls(_, Tls { ca, client, .. }) = &syslog.receiver {
                    let pair = client.iter().flat_map(|(certificate, key)| [certificate, key]);
                    // A renewed certificate is another file in the same folder.
                    reach.reads.extend(ca.iter().chain(pair).map(|path| folder_of(path)));
                }
            }
        }
    }
}

/// The folder in which a path stands, behind links.
fn folder_of(path: &Path) -> PathBuf {
    let of_thread = path.to_owned();
    let path = input::answered(path, move || fs::canonicalize(of_thread)).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn is_device(path: &Path) -> bool {
    input::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_char_device() || kind.is_block_device()
    })
}

fn terminal() -> Option<PathBuf> {
    let path = fs::read_link("/proc/self/fd/1").ok()?;
    is_device(&path).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(texts: &[&str]) -> Reach {
        let mut reach = Reach::default();
        for text in texts {
            text.parse::<Target>().unwrap().reach(&mut reach);
        }
        reach
    }

    #[test]
    fn an_output_reaches_its_folder_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let file = format!("file:{}/lines.json", real.display());
        assert_eq!(reach(&[&file]), Reach { writes: vec![real], ..Reach::default() });
        assert_eq!(reach(&["file:/dev/null"]).writes, [PathBuf::from("/dev/null")]);
        assert_eq!(reach(&["file:lines.json"]).writes, [PathBuf::from(".")]);
    }

    #[test]
    fn a_receiver_reaches_the_network_and_its_certificates() {
        let found = reach(&["syslog:tls://siem.example:6514?ca=/etc/siem/ca.pem"]);
        assert!(found.connects && found.writes.is_empty());
        assert_eq!(found.reads, [PathBuf::from("/etc/siem")]);
        assert!(!reach(&["file:/dev/null"]).connects);
    }
}
