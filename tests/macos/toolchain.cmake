# toolchain.cmake - builds for macOS on Linux, with what deps.sh put into build/macos. FETHD_MACOS_ARCH
# (arm64 or x86_64) says for which processor; the presets macos-arm64 and macos-x86_64 set it.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_VERSION 20.0.0) # that is macOS 11
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FETHD_MACOS_ARCH)
if(NOT FETHD_MACOS_ARCH MATCHES "^(arm64|x86_64)$")
	message(FATAL_ERROR "FETHD_MACOS_ARCH must be arm64 or x86_64")
endif()
set(CMAKE_SYSTEM_PROCESSOR ${FETHD_MACOS_ARCH})

cmake_path(SET macos NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../../build/macos")
if(NOT EXISTS "${macos}/bin/${FETHD_MACOS_ARCH}-cc")
	message(FATAL_ERROR "There is no compiler for macOS in ${macos}; tests/macos/deps.sh fetches one")
endif()
set(CMAKE_C_COMPILER "${macos}/bin/${FETHD_MACOS_ARCH}-cc")
set(CMAKE_CXX_COMPILER "${CMAKE_C_COMPILER}") # for msgpack-c, which asks for one and needs none
set(CMAKE_CXX_COMPILER_FORCED ON)
set(CMAKE_AR "${macos}/bin/ar" CACHE FILEPATH "")
set(CMAKE_RANLIB "${macos}/bin/ranlib" CACHE FILEPATH "")

# The target is the compiler's: none of Apple's own ways to say it.
set(CMAKE_OSX_ARCHITECTURES "" CACHE STRING "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
set(CMAKE_OSX_SYSROOT "" CACHE STRING "")

# Nothing of this machine's may be found.
set(CMAKE_FIND_ROOT_PATH "${macos}/${FETHD_MACOS_ARCH}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} "${macos}/${FETHD_MACOS_ARCH}/lib/pkgconfig")
set(ENV{PKG_CONFIG_PATH} "")
unset(ENV{PKG_CONFIG_SYSROOT_DIR})

# CMake asks the Mac that it is on whether it knows @rpath. It reads this file once more where it would have
# set what follows.
set(CMAKE_USER_MAKE_RULES_OVERRIDE "${CMAKE_CURRENT_LIST_FILE}")
set(CMAKE_SHARED_LIBRARY_RUNTIME_C_FLAG "-Wl,-rpath,")
