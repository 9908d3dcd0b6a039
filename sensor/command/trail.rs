//! `dnstrail trail`: the trail of an indicator through files of documents, on stdout.

use std::io::{self, Write};

use super::Failure;
use crate::cli::TrailArgs;
use crate::view;

/// # Errors
/// A file that cannot be read, or stdout that cannot be written.
pub fn trail(args: &TrailArgs) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let summary = view::follow(&args.indicator, &args.files, args.json, &mut out)?;
    out.flush()?;
    if summary.skipped > 0 {
        eprintln!("dnstrail: {} of {} lines are no documents, and were skipped", summary.skipped, {
            summary.skipped + summary.documents
        });
    }
    Ok(())
}
