//! The properties of an archive.

use hourlog::{ErrorKind, store::Store};

use crate::{
    guard::{Outcome, StoreGuard},
    kit::refused,
};

pub async fn a_property_is_set_once(guard: impl StoreGuard) -> Outcome {
    assert_eq!(guard.store().property("archive-id").await?, None);
    assert_eq!(guard.store().set_property("archive-id", "first", None).await?, "first");
    assert_eq!(guard.store().set_property("archive-id", "second", None).await?, "first");
    assert_eq!(guard.store().set_property("mapping/ORDERS", "other", None).await?, "other");
    let guard = guard.restart().await;
    assert_eq!(guard.store().property("archive-id").await?.as_deref(), Some("first"));
    assert_eq!(guard.store().property("mapping/ORDERS").await?.as_deref(), Some("other"));
    assert_eq!(guard.store().property("mapping").await?, None);
    assert_eq!(guard.store().set_property("archive-id", "third", None).await?, "first");
    Ok(())
}

pub async fn a_property_is_replaced_only_over_the_expected_value(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, store.set_property("name", "new", Some("old")).await);
    assert_eq!(store.property("name").await?, None);
    store.set_property("name", "one", None).await?;
    assert_eq!(store.set_property("name", "two", Some("another")).await?, "one");
    assert_eq!(store.set_property("name", "two", Some("one")).await?, "two");
    assert_eq!(store.set_property("name", "three", Some("one")).await?, "two", "another instance was first");
    assert_eq!(store.set_property("name", "", Some("two")).await?, "", "a value may be empty");
    let guard = guard.restart().await;
    assert_eq!(guard.store().property("name").await?.as_deref(), Some(""));
    Ok(())
}

pub async fn one_of_several_concurrent_attempts_to_set_a_property_succeeds(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let candidates = (0..8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.set_property("archive-id", &format!("candidate {number}"), None).await })
    });
    let mut answers = Vec::new();
    for candidate in candidates.collect::<Vec<_>>() {
        answers.push(candidate.await.expect("the task does not panic")?);
    }
    let stored = store.property("archive-id").await?.expect("one of them was stored");
    assert_eq!(answers, vec![stored; 8]);
    Ok(())
}
