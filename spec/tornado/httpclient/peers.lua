-- Servers for the specs of tornado.httpclient that are not ours: processes on free ports of the
-- loopback, with certificates made here. Each ends with its case.
local httpclient = require "tornado.httpclient"

local peers = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")

local function run(command)
    if os.execute("(" .. command .. ") 2> /dev/null > /dev/null") ~= 0 then error(command, 2) end
end

local folder

local function sign(name, days, hosts)
    local at = folder .. "/" .. name
    run(("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s"
        .. " -keyout %s.key -out %s.csr"):format(name, at, at))
    run(("printf 'subjectAltName=%s' > %s.ext"):format(hosts, at))
    run(("openssl x509 -req -in %s.csr -CA %s/ca.pem -CAkey %s/ca.key -CAcreateserial -days %d"
        .. " -extfile %s.ext -out %s.pem"):format(at, folder, folder, days, at, at))
end

--- A folder with ca.pem, and NAME.pem and NAME.key for good (127.0.0.1), wrong (another name) and
--- client.
function peers.certificates()
    if folder then return folder end
    folder = os.tmpname()
    os.remove(folder)
    run("mkdir " .. folder)
    run(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 2"
        .. " -keyout %s/ca.key -out %s/ca.pem"):format(folder, folder))
    sign("good", 2, "IP:127.0.0.1,DNS:localhost")
    sign("wrong", 2, "DNS:elsewhere.test")
    sign("late", -1, "IP:127.0.0.1")
    sign("client", 2, "DNS:client.test")
    return folder
end

function peers.remove_certificates()
    if folder then run("rm -r " .. folder) end
    folder = nil
end

--- Starts peer.py with arguments; returns "127.0.0.1:PORT" and a function that ends it.
function peers.start(arguments)
    local fifo = os.tmpname()
    os.remove(fifo)
    run("mkfifo " .. fifo)
    local pipe = io.popen(("exec python3 %s/peer.py %s < %s"):format(here, arguments or "", fifo))
    local input = io.open(fifo, "w")
    os.remove(fifo)
    local port = pipe:read("*n")
    return "127.0.0.1:" .. port, function()
        input:close()
        pipe:close()
    end
end

--- A name server that takes questions and says nothing, until the case is over: its address.
function peers.mute_name_server(finally)
    local pipe = io.popen("exec python3 -c 'import socket, signal, sys\n"
        .. "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        .. "s.bind((\"127.0.0.1\", 0))\nimport os\n"
        .. "print(os.getpid(), s.getsockname()[1], flush=True)\nsignal.pause()'")
    local pid, port = pipe:read("*n", "*n")
    finally(function()
        os.execute("kill " .. pid)
        pipe:close()
    end)
    return "127.0.0.1:" .. port
end

--- A client that the case closes.
function peers.client(finally, options)
    local client = httpclient.AsyncHTTPClient(options or { max_clients = 20 })
    finally(function() client:close() end)
    return client
end

return peers
