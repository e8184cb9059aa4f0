//! Medians and spreads of rounds.

/// Returns the quantile `share`, from 0 to 1. It is 0 without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a list of rounds"
    )]
    let index = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// Returns the median.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Returns half the interquartile range, in percent of the median.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let half = (quantile(values, 0.75) - quantile(values, 0.25)) / 2.0;
    100.0 * half / median(values).abs().max(f64::MIN_POSITIVE)
}

/// Returns the median of the differences between `values` and `below`, round by round.
pub(crate) fn median_above(values: &[f64], below: &[f64]) -> f64 {
    let differences: Vec<f64> = values.iter().zip(below).map(|(a, b)| a - b).collect();
    median(&differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_spread_its_surroundings() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert!((median(&values) - 3.0).abs() < f64::EPSILON);
        assert!((spread(&values) - 100.0 / 3.0).abs() < 1e-9);
        assert!((median_above(&values, &[1.0; 5]) - 2.0).abs() < f64::EPSILON);
    }
}
