-- What is wrong with options that are each of their type: those that do not go together, addresses
-- that are none, folders that are not there.
local addresses = require "tornado.serving.addresses"
local config = require "tornado.config"
local core = require "tornado.core"

local checks = {}

-- Adds what is wrong with `names`, and where the first of them stands.
local function say(reasons, options, names, text, ...)
    reasons[#reasons + 1] = config.place(options, names) .. text:format(...)
end

local function check_addresses(options, reasons)
    local seen = {}
    for _, item in ipairs(addresses.list(options)) do
        local address = item[1]
        if seen[address] and not address:find ":0$" then
            say(reasons, options, "listen", "listen: %s stands there twice", address)
        end
        seen[address] = true
        if address == options.admin then
            say(reasons, options, "admin", "admin: %s is an address of the sites, which " ..
                "strangers may reach: give it one of its own", address)
        end
    end
end

local function check_certificates(options, reasons)
    if options.keyfile ~= "" and options.certfile == "" then
        say(reasons, options, "keyfile", "keyfile: set certfile, too, or it is not HTTPS")
    end
    if options.certfile ~= "" and #options.listen > 0 then
        say(reasons, options, "certfile", 'certfile: with listen it stands beside an address, ' ..
            'as { "*:443", certfile = "FILE" }, or that one is not HTTPS')
    end
end

--- Those that do not go together; `has_master`: there is or will be one. Returns a list of reasons,
-- each with its file:line.
function checks.together(options, has_master)
    local reasons = {}
    check_addresses(options, reasons)
    check_certificates(options, reasons)
    if not has_master and options.user .. options.group ~= "" then
        say(reasons, options, "user group", "user, group: a master gives them to its workers: " ..
            "set supervise = true or more workers")
    end
    return reasons
end

-- Files that are appended to, or made.
local WRITTEN = { "log_file", "access_log", "pid_file" }
local NO_FILE = { [""] = true, stderr = true, journal = true }

local function check_file(options, name, reasons)
    local path = options[name]
    if NO_FILE[path] or path:find "^journal:" then return end
    local folder = path:match "^(.*)/[^/]*$"
    if core.file_kind(path) == "folder" then
        say(reasons, options, name, "%s: %s is a folder, expected a file", name, path)
    elseif folder and folder ~= "" and core.file_kind(folder) ~= "folder" then
        say(reasons, options, name, "%s: no such folder: %s", name, folder)
    end
end

--- Looks for what a start would find, certificates included, without opening anything; adds it to
-- a list of reasons.
function checks.from_outside(options, reasons)
    addresses.check(options, reasons)
    if options.admin ~= "" then
        local ok, why = core.address_check(options.admin)
        if not ok then say(reasons, options, "admin", "admin: %s", why) end
    end
    for _, name in ipairs(WRITTEN) do check_file(options, name, reasons) end
    if core.file_kind(options.body_temp_dir) ~= "folder" then
        say(reasons, options, "body_temp_dir", "body_temp_dir: no such folder: %s",
            options.body_temp_dir)
    end
end

return checks
