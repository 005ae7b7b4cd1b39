//! Makes the Rust types of `schema/hourlog.proto`, without `protoc`.

fn main() {
    #[cfg(feature = "wire")]
    {
        let schema = "../schema";
        println!("cargo::rerun-if-changed={schema}/hourlog.proto");
        let files = protox::compile(["hourlog.proto"], [schema]).expect("schema/hourlog.proto is valid");
        prost_build::Config::new()
            .bytes(["."])
            .btree_map(["."])
            .compile_fds(files)
            .expect("types are generated from schema/hourlog.proto");
    }
}
