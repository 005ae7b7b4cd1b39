//! Properties of the archive that the service replaces again and again.

use hourlog::{Result, store::Store};

/// Replaces a property, whatever its value.
///
/// # Errors
/// The store's error.
pub(crate) async fn replace<S: Store>(store: &S, name: &str, value: &str) -> Result<()> {
    // Another instance may store its own at the same time: then this one is stored over it.
    loop {
        let before = store.property(name).await?;
        if store.set_property(name, value, before.as_deref()).await? == value {
            return Ok(());
        }
    }
}
