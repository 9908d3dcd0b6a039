//! The words of a line, and the remark behind them.

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A line without the remark that `#` opens at its beginning or after a space; elsewhere it is part
/// of a word.
pub(super) fn without_remark(line: &[u8]) -> &[u8] {
    let mut space = true;
    for (at, byte) in line.iter().enumerate() {
        if *byte == b'#' && space {
            return line.get(..at).unwrap_or_default().trim_ascii_end();
        }
        space = byte.is_ascii_whitespace();
    }
    line
}
