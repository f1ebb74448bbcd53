-- Prints the manual page ctornado(1): ctornado run vendor/debian/manpage.lua
-- Commands are those of `ctornado help`, options those of the server itself.
local config = require "tornado.config"
local process = require "tornado.process"
local util = require "tornado.util"

-- A dash at a line's beginning and a backslash mean something in troff.
local function troff(text)
    return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n([.'])", "\n\\&%1"))
end

local HEAD = [[
.TH CTORNADO 1 "" "ctornado %s" "User Commands"
.SH NAME
ctornado \- web server, web framework and network library
.SH SYNOPSIS
.nf
%s
.fi
.SH DESCRIPTION
ctornado serves sites: folders with an
.I app.lua
that returns a web.Application, written in Lua with the names of Python's Tornado.
.P
It reads
.I ctornado.conf
from the folder it is started in, or the file that \-\-config names. Each option is also
\-\-name=value on the command line, which wins.
.SH OPTIONS
]]

local TAIL = [[
.SH SIGNALS
SIGHUP loads options and sites anew; SIGTERM and SIGQUIT end the server when what is under way is
done; SIGINT ends it at once; SIGUSR1 opens its log files anew; SIGUSR2 has the program that is
installed now take over.
.SH EXIT STATUS
0: done; 1: the work failed, standard error says what and where; 2: wrong usage.
.SH FILES
.TP
.I /etc/ctornado/ctornado.conf
the options of the service
.TP
.I /run/ctornado/control.sock
where commands reach the service: ctornado status \-\-control=/run/ctornado/control.sock
.TP
.I /usr/local/share/ctornado/sites
sites that come with it; the manual is one of them, which
\-\-site=/usr/local/share/ctornado/sites/manual serves
.SH SEE ALSO
.BR systemctl (1),
.BR busted (1)
]]

-- The lines of the help that are commands, as they are.
local function synopsis()
    local _, help = process.run { "/proc/self/exe", "help" }
    local lines = {}
    for line in help:gmatch("[^\n]+") do
        if line:find("^  ctornado ") then lines[#lines + 1] = troff(line:sub(3)) end
    end
    return table.concat(lines, "\n")
end

io.write(HEAD:format(util.version, synopsis()))
for _, option in ipairs(config.OPTIONS) do
    io.write((".TP\n.B \\-\\-%s=\\fI%s\\fP\n%s\n"):format(option[1], option[2]:upper(),
        troff(option[4])))
end
io.write(TAIL)
