//! A switch that one side calls on and the other off.

/// The opposite.
pub fn read(value: bool) -> Result<bool, bool> {
    Ok(!value)
}

/// The opposite.
pub fn write(value: &bool) -> Option<bool> {
    Some(!value)
}
