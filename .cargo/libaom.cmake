# libaom is optimised in every build, as the other codecs are (Cargo.toml, profile.dev.package): its
# build script would take cargo's dev profile for a wish to debug libaom, which then takes minutes a photo.
set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
