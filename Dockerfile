# The service and the command line, in a minimal image: no shell, no package manager, not root.
#
#   docker build -t hourlogd .
#   docker run -v archive:/var/lib/hourlog hourlogd --nats nats://nats:4222 --store file:/var/lib/hourlog

# The oldest Rust that Cargo.toml allows. The slim image has the C compiler that the ciphers need.
FROM rust:1.90-slim-trixie AS build
WORKDIR /src
COPY . .
# Cache mounts keep downloads and build output for the next build. They are not part of the image,
# so the programs are copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package hourlogd --package hourlog-console --features hourlogd/cql-tls \
    && install -D --target-directory=/out/bin target/release/hourlogd target/release/hourlog \
    && install --directory /out/archive

# The same Debian release as above: an older one could have a C library that is too old. This image
# has the certificates of public authorities and the time zones.
FROM gcr.io/distroless/cc-debian13:nonroot
# A numeric user, so that an orchestrator can verify that it is not root. A new volume takes its
# owner from the directory that it covers.
COPY --from=build --chown=65532:65532 /out/archive /var/lib/hourlog
COPY --from=build /out/bin/ /usr/local/bin/
USER 65532:65532
# There is no HEALTHCHECK, because the address and the login are not known here. With HOURLOG_HTTP set, an
# orchestrator asks GET /livez to restart the container, and GET /readyz to know whether it works;
# docker-compose.yml uses hourlog doctor.
ENTRYPOINT ["hourlogd"]
