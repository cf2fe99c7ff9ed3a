# A static binary and nothing else. Build: docker build -t bobsync .
FROM rust:1.95.0-alpine AS build
RUN apk add --no-cache musl-dev ca-certificates
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p bobsync && cp target/release/bobsync /bobsync

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /bobsync /bobsync
USER 65532:65532
ENTRYPOINT ["/bobsync"]
CMD ["controller"]
