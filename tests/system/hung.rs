//! A file system that never answers: a FUSE mount whose daemon has not begun to serve, or takes requests and never
//! answers them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system on which every call waits until it is unmounted; mounting needs root.
pub struct Hung {
    folder: PathBuf,
    /// The daemon's end: closing it ends every wait.
    device: Option<File>,
}

impl Hung {
    /// No request is ever taken: a signal that kills ends the wait of a call.
    pub fn mount(folder: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let stdin = Stdio::from(device.as_fd().try_clone_to_owned().unwrap());
        let status = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0", "none"])
            .arg(folder)
            .stdin(stdin)
            .status()
            .unwrap();
        assert!(status.success(), "mounting needs root");
        Hung { folder: folder.to_owned(), device: Some(device) }
    }

    /// Requests are taken, and none but the first is answered: no signal ends the wait of a call.
    pub fn take(folder: &Path) -> Self {
        let mut hung = Self::mount(folder);
        let mut device = hung.device.take().expect("it was mounted");
        std::thread::spawn(move || {
            let mut request = vec![0; 1 << 17];
            // FUSE_INIT is answered, because the kernel sends nothing before that (linux/fuse.h).
            while let Ok(length) = device.read(&mut request) {
                let [opcode, unique] = [4..8, 8..16].map(|place| request[..length][place].to_vec());
                if opcode == 26_u32.to_ne_bytes() {
                    let mut answer = vec![0; 80];
                    answer[..4].copy_from_slice(&80_u32.to_ne_bytes());
                    answer[8..16].copy_from_slice(&unique);
                    answer[16..20].copy_from_slice(&7_u32.to_ne_bytes());
                    answer[20..24].copy_from_slice(&31_u32.to_ne_bytes());
                    // max_write
                    answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
                    device.write_all(&answer).expect("the kernel takes the answer to FUSE_INIT");
                }
            }
        });
        hung
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        drop(self.device.take());
        let _ = Command::new("umount").args(["--force", "--lazy"]).arg(&self.folder).status();
    }
}
