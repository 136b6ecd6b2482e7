# libaom is optimised in every build, as the other codecs are (Cargo.toml, profile.dev.package): its
# build script would take cargo's dev profile for a wish to debug libaom, which then takes minutes a photo.
set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)

# Where there is a toolchain file, the build script leaves the compilers to it, and still gives the flags of those
# that cargo-zigbuild, under `cargo lambda build`, has named for the target.
string(REPLACE "-" "_" target "$ENV{TARGET}")
if(DEFINED ENV{CC_${target}})
    set(CMAKE_C_COMPILER "$ENV{CC_${target}}" CACHE FILEPATH "" FORCE)
endif()
if(DEFINED ENV{CXX_${target}})
    set(CMAKE_CXX_COMPILER "$ENV{CXX_${target}}" CACHE FILEPATH "" FORCE)
endif()
