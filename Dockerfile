# The service and the command line, in an image that has nothing else to run: no shell, no package manager, not root.
#
#   docker build -t hourlogd .
#   docker run -v archive:/var/lib/hourlog hourlogd --nats nats://nats:4222 --store file:/var/lib/hourlog

# The oldest Rust that Cargo.toml allows. The slim image has a C compiler, which the ciphers need, and nothing else has to be installed.
FROM rust:1.90-slim-trixie AS build
WORKDIR /src
COPY . .
# What was downloaded and compiled is kept for the next build, beside the image and not in it. So the programs are copied out.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package hourlogd --package hourlog-console --features hourlogd/cql-tls \
    && install -D --target-directory=/out/bin target/release/hourlogd target/release/hourlog \
    && install --directory /out/archive

# The same Debian as above, or the C library may be too old. It has the certificates of public authorities, and time zones.
FROM gcr.io/distroless/cc-debian13:nonroot
# A number, so that an orchestrator can tell that it is not root. A new volume takes its owner from the directory that it covers.
COPY --from=build --chown=65532:65532 /out/archive /var/lib/hourlog
COPY --from=build /out/bin/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["hourlogd"]
