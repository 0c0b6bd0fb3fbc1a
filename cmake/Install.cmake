# What `cmake --install` adds to the binaries: the dispatcher, completions and man pages.
install(PROGRAMS "${PROJECT_SOURCE_DIR}/scripts/reprise" DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/scripts/completion.bash"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME reprise)

# Of the binaries that have just been installed: man pages made from their help, and completions
# under the name by which bash looks for them.
install(CODE "
  file(GLOB programs \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/reprise-*\")
  set(man \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1\")
  set(completions
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/bash-completion/completions\")
  file(MAKE_DIRECTORY \"\${man}\")
  foreach(program IN LISTS programs)
    get_filename_component(name \"\${program}\" NAME)
    message(STATUS \"Installing: \${man}/\${name}.1\")
    execute_process(
      COMMAND python3 \"${PROJECT_SOURCE_DIR}/scripts/man_page.py\"
              \"\${program}\" \${name} ${PROJECT_VERSION}
      OUTPUT_FILE \"\${man}/\${name}.1\" COMMAND_ERROR_IS_FATAL ANY)
    file(CREATE_LINK reprise \"\${completions}/\${name}\" SYMBOLIC)
  endforeach()")
