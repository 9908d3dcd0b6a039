//! Decimal digits.

/// The digits of all numbers below 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b"0123456789"[number / 10], b"0123456789"[number % 10]];
        number += 1;
    }
    pairs
};

/// The last two digits of a number.
#[inline]
pub(super) fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

/// Appends a number without leading zeros. Four digits at a time stay in a register: an array of all digits
/// would be written byte by byte and read again at once, for which a processor waits.
#[inline]
pub fn push(bytes: &mut Vec<u8>, number: u64) {
    let ([a, b], [c, d]) = (pair(number / 100), pair(number));
    match number {
        ..10 => bytes.push(d),
        10..100 => bytes.extend_from_slice(&[c, d]),
        100..1_000 => bytes.extend_from_slice(&[b, c, d]),
        1_000..10_000 => bytes.extend_from_slice(&[a, b, c, d]),
        10_000.. => {
            push_more(bytes, number / 10_000);
            bytes.extend_from_slice(&[a, b, c, d]);
        }
    }
}

fn push_more(bytes: &mut Vec<u8>, number: u64) {
    push(bytes, number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u64) -> String {
        let mut bytes = Vec::new();
        push(&mut bytes, number);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn as_the_library_writes_them() {
        for exponent in 0..20 {
            let power = 10_u64.pow(exponent);
            for number in [power - 1, power, power + 1, power.saturating_mul(7)] {
                assert_eq!(text(number), number.to_string());
            }
        }
        assert_eq!(text(u64::MAX), u64::MAX.to_string());
    }

    proptest::proptest! {
        #[test]
        fn any_number(number: u64, shift in 0_u32..64) {
            proptest::prop_assert_eq!(text(number >> shift), (number >> shift).to_string());
        }
    }
}
