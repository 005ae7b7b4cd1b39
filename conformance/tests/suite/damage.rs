//! A damaged archive says so: it is never taken for whole with less in it than was acknowledged.

use conformance::servers::{copy_directory, replace_directory};
use hourlog::{Embedded, Offset, Store, Write};
use tempfile::TempDir;

#[tokio::test]
async fn an_archive_that_was_put_back_says_what_is_missing_and_forgets_its_places() {
    let directory = TempDir::new().expect("a directory can be made");
    let old = TempDir::new().expect("a directory can be made");
    let archived = |seq| Write::Archived {
        stream: "S".into(),
        slot: 0,
        seq,
        time: Offset::from_nanos(seq),
        high: Offset::from_nanos(seq),
    };
    let store = Embedded::open(directory.path()).expect("it opens");
    store.write(vec![archived(1)]).await.expect("it is written");
    drop(store);
    copy_directory(&directory.path().join("tables"), old.path());
    let store = Embedded::open(directory.path()).expect("it opens");
    assert_eq!(store.missing(), None);
    store.write(vec![archived(2)]).await.expect("it is written");
    drop(store);
    replace_directory(old.path(), &directory.path().join("tables"));

    let store = Embedded::open(directory.path()).expect("it opens");
    let missing = store.missing().expect("a batch is missing");
    assert_eq!((missing.acknowledged, missing.found), (Some(2), 1));
    assert_eq!(store.sources("S").await.expect("the sources")[0].1.cursor, 0);
    drop(store);
    // Said once: what is not there any more will not come back.
    assert_eq!(Embedded::open(directory.path()).expect("it opens").missing(), None);
}
