# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on Windows 10, Windows Server 2016 and later, with the NetTCPIP
# module. The contract is that of the shell templates, told in lib.sh: the environment in, the exit status out (0 done;
# 1 a command failed and everything in the record was undone; 2 the environment is wrong and nothing was done; 3 kind
# kernel, which this system has not), errors as lines on stderr that begin with "sixlink: ".
#
#   powershell -NoProfile -ExecutionPolicy Bypass -File windows.ps1 [-DryRun]
#
# Modes: v6udpv4, v6v4, v4v6 and wireguard (its IPv6) by kind tun (the program's wintun adapter). Kind kernel ends with 3: the one
# tunnel interface of Windows (netsh's v6v4tunnel) is of the transition technologies that are no longer developed, and
# NetTCPIP cannot make it. Host and router; not broker. Read, but never run: see platform/windows/README.md.
#
# Routes have metrics, and a route's is added to its interface's: the tunnel's interface metric is set to 0, so that the
# route's counts. default_route=backup: 8192, behind every native one; yes: 0, with the interface metric 0.
# Nothing here is persistent (PolicyStore ActiveStore): a restart of the machine removes what a crash left.
#
# A router announces its prefix with the system's own advertisements: Advertising on the home interface, and the routes
# of the home networks published. There is no RDNSS: the DNS servers are told on stdout.
#
# The kinds of record lines, each ended by a dot like those of lib.sh. IF is the alias of an interface, hexadecimal, for
# aliases have blanks:
#   mtu IF 4|6 OLD NEW        metric IF 4|6 OLD|auto      address IF ADDRESS LENGTH
#   route IF PREFIX NEXTHOP   published IF PREFIX OLD     forwarding IF 4|6 OLD       advertising IF OLD
param([switch]$DryRun)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$BackupMetric = 8192
$BestMetric = 0
$RouteMetric = 256
# Behind every route that anyone would make for a part of the delegated prefix.
$UnreachableMetric = 9000
$LoopbackIndex = 1

function Say([string]$Text) {
  [Console]::Error.WriteLine('sixlink: ' + (($Text -replace '[\x00-\x1f\x7f]+', ' ').Trim()))
}

function Refuse([string]$Text) {
  Say $Text
  exit 2
}

# ---- the environment --------------------------------------------------------------------------------------------

function Get-Value([string]$Name, [string]$Default = '') {
  $value = [Environment]::GetEnvironmentVariable($Name)
  if ([string]::IsNullOrEmpty($value)) { return $Default }
  return $value
}

function Test-Address([string]$Text, [string]$Family) {
  if ($Text -notmatch '^[0-9A-Fa-f:.]+$') { return $false }
  $address = $null
  if (-not [Net.IPAddress]::TryParse($Text, [ref]$address)) { return $false }
  # TryParse takes "1" for 0.0.0.1.
  if ($Family -eq '4') { return $address.AddressFamily -eq 'InterNetwork' -and $Text -match '^\d+\.\d+\.\d+\.\d+$' }
  return $address.AddressFamily -eq 'InterNetworkV6'
}

function Get-Address([string]$Name, [string]$Family) {
  $value = Get-Value $Name
  if (-not (Test-Address $value $Family)) { Refuse "$Name must be an IPv$Family address, not '$value'" }
  return $value
}

function Get-Number([string]$Name, [string]$Default, [int]$Lowest, [int]$Highest) {
  $value = Get-Value $Name $Default
  if ($value -notmatch '^(0|[1-9][0-9]{0,8})$' -or [int]$value -lt $Lowest -or [int]$value -gt $Highest) {
    Refuse "$Name must be a number from $Lowest to $Highest, not '$value'"
  }
  return [int]$value
}

function Get-OneOf([string]$Name, [string]$Default, [string[]]$Words) {
  $value = Get-Value $Name $Default
  if ($Words -cnotcontains $value) { Refuse "$Name must be one of $($Words -join ', '), not '$value'" }
  return $value
}

# Any alias that Windows takes: it is only ever a parameter's value, never text that is run.
function Test-Alias([string]$Text) {
  return $Text.Length -ge 1 -and $Text.Length -le 256 -and $Text -notmatch '[\x00-\x1f\x7f*?\[\]]'
}

# ---- the record -------------------------------------------------------------------------------------------------

function ConvertTo-Field([string]$Text) {
  return -join ([Text.Encoding]::UTF8.GetBytes($Text) | ForEach-Object { $_.ToString('x2') })
}

function ConvertFrom-Field([string]$Text) {
  if ($Text -notmatch '^([0-9a-f]{2})+$') { return $null }
  $bytes = for ($i = 0; $i -lt $Text.Length; $i += 2) { [Convert]::ToByte($Text.Substring($i, 2), 16) }
  $alias = [Text.Encoding]::UTF8.GetString([byte[]]$bytes)
  if (Test-Alias $alias) { return $alias }
  return $null
}

function Get-Record {
  if (Test-Path -LiteralPath $script:Record) { return @(Get-Content -LiteralPath $script:Record) }
  return @()
}

# Before the command that it tells how to undo. A line is recorded once.
function Add-Line([string]$Line) {
  if ($DryRun) { return }
  if ((Get-Record) -ccontains "$Line .") { return }
  $directory = Split-Path -Parent $script:Record
  if (-not (Test-Path -LiteralPath $directory)) { New-Item -ItemType Directory -Path $directory | Out-Null }
  Add-Content -LiteralPath $script:Record -Value "$Line ." -Encoding ASCII
}

# Runs one command that changes something: its text is shown, its parameters are values.
function Invoke-Change([string]$Command, [hashtable]$Parameters) {
  $text = $Command + ' ' + (($Parameters.GetEnumerator() | Sort-Object Name | ForEach-Object { "-$($_.Name) '$($_.Value)'" }) -join ' ')
  if ($DryRun) {
    Write-Output $text | Out-Host
    return
  }
  if ($script:Verbose -ge 2) { Write-Output "+ $text" | Out-Host }
  $script:Running = $text
  & $Command @Parameters | Out-Null
  $script:Running = ''
}

function Test-Interface([string]$Alias, [string]$Family) {
  return $null -ne (Get-NetIPInterface -InterfaceAlias $Alias -AddressFamily "IPv$Family" -ErrorAction SilentlyContinue)
}

function Test-Route([string]$Alias, [string]$Prefix, [string]$NextHop) {
  return $null -ne (Get-NetRoute -InterfaceAlias $Alias -DestinationPrefix $Prefix -NextHop $NextHop -ErrorAction SilentlyContinue)
}

# Undoes one line. $false: not a line of ours. What is gone already is fine; a failure is an exception.
function Undo-Line([string]$Line) {
  if ($Line -notmatch '^[a-z]+( [0-9A-Za-z:./-]+)+ \.$') { return $false }
  $field = $Line.Substring(0, $Line.Length - 2).Split(' ')
  $alias = ConvertFrom-Field $field[1]
  if ($null -eq $alias) { return $false }
  switch ($field[0]) {
    'mtu' {
      if ($field.Count -ne 5 -or $field[2] -notmatch '^[46]$' -or "$($field[3])$($field[4])" -notmatch '^\d{1,18}$') { return $false }
      $now = Get-NetIPInterface -InterfaceAlias $alias -AddressFamily "IPv$($field[2])" -ErrorAction SilentlyContinue
      # Someone changed it after us: theirs stays.
      if ($null -eq $now -or [string]$now.NlMtu -ne $field[4]) { return $true }
      Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $alias; AddressFamily = "IPv$($field[2])"; NlMtuBytes = [uint32]$field[3]; PolicyStore = 'ActiveStore' }
    }
    'metric' {
      if ($field.Count -ne 4 -or $field[2] -notmatch '^[46]$' -or $field[3] -notmatch '^(auto|\d{1,9})$') { return $false }
      if (-not (Test-Interface $alias $field[2])) { return $true }
      $parameters = @{ InterfaceAlias = $alias; AddressFamily = "IPv$($field[2])"; PolicyStore = 'ActiveStore' }
      if ($field[3] -eq 'auto') { $parameters.AutomaticMetric = 'Enabled' } else { $parameters.InterfaceMetric = [uint32]$field[3] }
      Invoke-Change 'Set-NetIPInterface' $parameters
    }
    'address' {
      if ($field.Count -ne 4 -or -not ((Test-Address $field[2] '4') -or (Test-Address $field[2] '6')) -or $field[3] -notmatch '^\d{1,3}$') { return $false }
      if ($null -eq (Get-NetIPAddress -InterfaceAlias $alias -IPAddress $field[2] -ErrorAction SilentlyContinue)) { return $true }
      Invoke-Change 'Remove-NetIPAddress' @{ InterfaceAlias = $alias; IPAddress = $field[2]; PolicyStore = 'ActiveStore'; Confirm = $false }
    }
    'route' {
      if ($field.Count -ne 4 -or $field[2] -notmatch '^[0-9A-Fa-f:.]+/\d{1,3}$' -or -not ((Test-Address $field[3] '4') -or (Test-Address $field[3] '6'))) { return $false }
      if (-not (Test-Route $alias $field[2] $field[3])) { return $true }
      Invoke-Change 'Remove-NetRoute' @{ InterfaceAlias = $alias; DestinationPrefix = $field[2]; NextHop = $field[3]; PolicyStore = 'ActiveStore'; Confirm = $false }
    }
    'published' {
      if ($field.Count -ne 4 -or $field[2] -notmatch '^[0-9A-Fa-f:.]+/\d{1,3}$' -or $field[3] -notmatch '^(No|Age|Yes)$') { return $false }
      if ($null -eq (Get-NetRoute -InterfaceAlias $alias -DestinationPrefix $field[2] -ErrorAction SilentlyContinue)) { return $true }
      Invoke-Change 'Set-NetRoute' @{ InterfaceAlias = $alias; DestinationPrefix = $field[2]; Publish = $field[3]; PolicyStore = 'ActiveStore' }
    }
    'forwarding' {
      if ($field.Count -ne 4 -or $field[2] -notmatch '^[46]$' -or $field[3] -notmatch '^(Enabled|Disabled)$') { return $false }
      if (-not (Test-Interface $alias $field[2])) { return $true }
      Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $alias; AddressFamily = "IPv$($field[2])"; Forwarding = $field[3]; PolicyStore = 'ActiveStore' }
    }
    'advertising' {
      if ($field.Count -ne 3 -or $field[2] -notmatch '^(Enabled|Disabled)$') { return $false }
      if (-not (Test-Interface $alias '6')) { return $true }
      Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $alias; AddressFamily = 'IPv6'; Advertising = $field[2]; PolicyStore = 'ActiveStore' }
    }
    default { return $false }
  }
  return $true
}

# Undoes the record, last line first. Lines that could not be undone stay in it: $false.
function Undo-Record {
  $left = @()
  $lines = @(Get-Record)
  [Array]::Reverse($lines)
  foreach ($line in $lines) {
    try {
      if (-not (Undo-Line $line)) { Say "$($script:Record): ignored a line that is not ours: $line" }
    } catch {
      Say "could not undo '$line': $($_.Exception.Message)"
      $left = @($line) + $left
    }
  }
  if ($DryRun) { return $true }
  if ($left.Count -gt 0) {
    Set-Content -LiteralPath $script:Record -Value $left -Encoding ASCII
    return $false
  }
  Remove-Item -LiteralPath $script:Record -Force -ErrorAction SilentlyContinue
  return $true
}

# ---- doing ------------------------------------------------------------------------------------------------------

function Set-Interface([string]$Alias, [string]$Family, [int]$Mtu) {
  $now = Get-NetIPInterface -InterfaceAlias $Alias -AddressFamily "IPv$Family"
  $field = ConvertTo-Field $Alias
  if ($now.NlMtu -ne $Mtu) {
    Add-Line "mtu $field $Family $($now.NlMtu) $Mtu"
    Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $Alias; AddressFamily = "IPv$Family"; NlMtuBytes = [uint32]$Mtu; PolicyStore = 'ActiveStore' }
  }
  if ([string]$now.AutomaticMetric -eq 'Enabled' -or $now.InterfaceMetric -ne 0) {
    $old = if ([string]$now.AutomaticMetric -eq 'Enabled') { 'auto' } else { [string]$now.InterfaceMetric }
    Add-Line "metric $field $Family $old"
    Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $Alias; AddressFamily = "IPv$Family"; InterfaceMetric = [uint32]0; PolicyStore = 'ActiveStore' }
  }
}

function Add-Address([string]$Alias, [string]$Address, [int]$Length) {
  if ($null -ne (Get-NetIPAddress -InterfaceAlias $Alias -IPAddress $Address -ErrorAction SilentlyContinue)) { return }
  Add-Line "address $(ConvertTo-Field $Alias) $Address $Length"
  # Without SkipAsSource it is this machine's address for what goes into the tunnel.
  Invoke-Change 'New-NetIPAddress' @{ InterfaceAlias = $Alias; IPAddress = $Address; PrefixLength = [byte]$Length; PolicyStore = 'ActiveStore' }
}

function Add-Route([string]$Alias, [string]$Prefix, [string]$NextHop, [int]$Metric) {
  if (Test-Route $Alias $Prefix $NextHop) { return }
  Add-Line "route $(ConvertTo-Field $Alias) $Prefix $NextHop"
  Invoke-Change 'New-NetRoute' @{ InterfaceAlias = $Alias; DestinationPrefix = $Prefix; NextHop = $NextHop; RouteMetric = [uint16]$Metric; PolicyStore = 'ActiveStore' }
}

function Enable-Forwarding([string]$Alias, [string]$Family) {
  $now = Get-NetIPInterface -InterfaceAlias $Alias -AddressFamily "IPv$Family"
  if ([string]$now.Forwarding -eq 'Enabled') { return }
  Add-Line "forwarding $(ConvertTo-Field $Alias) $Family Disabled"
  Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $Alias; AddressFamily = "IPv$Family"; Forwarding = 'Enabled'; PolicyStore = 'ActiveStore' }
}

# The n-th network of 64 bits of a prefix, as its first eight bytes.
function Get-Network([string]$Address, [int]$Length, [int]$Number) {
  $bytes = [Net.IPAddress]::Parse($Address).GetAddressBytes()
  for ($bit = $Length; $bit -lt 128; $bit++) {
    $bytes[[Math]::Floor($bit / 8)] = $bytes[[Math]::Floor($bit / 8)] -band (255 -bxor (128 -shr ($bit % 8)))
  }
  $carry = $Number
  for ($i = 7; $i -ge 0 -and $carry -gt 0; $i--) {
    $sum = $bytes[$i] + $carry
    $bytes[$i] = $sum -band 255
    $carry = $sum -shr 8
  }
  return , $bytes
}

function Publish-Network([string]$Alias, [string]$Prefix) {
  $field = ConvertTo-Field $Alias
  if ($DryRun -or [string](Get-NetIPInterface -InterfaceAlias $Alias -AddressFamily IPv6).Advertising -ne 'Enabled') {
    Add-Line "advertising $field Disabled"
    Invoke-Change 'Set-NetIPInterface' @{ InterfaceAlias = $Alias; AddressFamily = 'IPv6'; Advertising = 'Enabled'; PolicyStore = 'ActiveStore' }
  }
  # The address made the route.
  Add-Line "published $field $Prefix No"
  Invoke-Change 'Set-NetRoute' @{ InterfaceAlias = $Alias; DestinationPrefix = $Prefix; Publish = 'Yes'; PolicyStore = 'ActiveStore' }
}

function New-Tunnel {
  $alias = Get-Value 'TSP_TUNNEL_INTERFACE'
  if (-not (Test-Alias $alias)) { Refuse "TSP_TUNNEL_INTERFACE must be the name of an interface, not '$alias'" }
  $kind = Get-OneOf 'SIXLINK_INTERFACE_KIND' '' @('tun', 'kernel')
  $hostType = Get-OneOf 'TSP_HOST_TYPE' '' @('host', 'router')
  $mode = Get-OneOf 'TSP_TUNNEL_MODE' '' @('v6udpv4', 'v6v4', 'v4v6', 'dslite', 'wireguard')
  $defaultRoute = Get-OneOf 'SIXLINK_DEFAULT_ROUTE' 'backup' @('backup', 'yes', 'no')
  $family = if ($mode -eq 'v4v6' -or $mode -eq 'dslite') { '4' } else { '6' }
  $full = if ($family -eq '4') { 32 } else { 128 }
  $mtu = Get-Number 'SIXLINK_MTU' '1280' $(if ($family -eq '4') { 576 } else { 1280 }) 65535
  $client = Get-Address "TSP_CLIENT_ADDRESS_IPV$family" $family
  $server = Get-Address "TSP_SERVER_ADDRESS_IPV$family" $family
  $length = Get-Number 'TSP_TUNNEL_PREFIXLEN' '' 1 $full
  $onLink = if ($family -eq '4') { '0.0.0.0' } else { '::' }

  $prefix = ''
  $prefixLength = 0
  $given = Get-Value 'TSP_PREFIX'
  if ($given -ne '') {
    # TSP_PREFIX carries only the groups that its length covers.
    $prefix = if ($family -eq '6' -and $given -notmatch '::' -and ($given -split ':').Count -lt 8) { "${given}::" } else { $given }
    if (-not (Test-Address $prefix $family)) { Refuse "TSP_PREFIX must be the leading groups of a prefix, not '$given'" }
    $prefixLength = Get-Number 'TSP_PREFIXLEN' '' 0 $full
  }
  $homes = @()
  if ($hostType -eq 'router') {
    # Several aliases are separated by blanks in the list, which an alias with blanks cannot be in: one is TSP_HOME_INTERFACE.
    $first = Get-Value 'TSP_HOME_INTERFACE'
    $list = @((Get-Value 'SIXLINK_HOME_INTERFACES' $first) -split ' ' | Where-Object { $_ -ne '' })
    $homes = if ($first -match ' ') { @($first) } else { $list }
    if ($homes.Count -eq 0) { Refuse 'router mode needs the interface of the home network: set if_prefix' }
    foreach ($name in $homes) {
      if (-not (Test-Alias $name)) { Refuse "SIXLINK_HOME_INTERFACES must be names of interfaces, not '$name'" }
    }
    if ($prefix -eq '') { Refuse 'router mode needs a prefix, but the broker delegated none: TSP_PREFIX is empty' }
    if ($family -eq '4' -and $homes.Count -ne 1) { Refuse 'SIXLINK_HOME_INTERFACES: an IPv4 prefix is for one interface' }
    if ($family -eq '6') {
      if ($prefixLength -gt 64) { Refuse "TSP_PREFIXLEN is ${prefixLength}: a home network needs a prefix of 64 bits or fewer" }
      if ($prefixLength -gt 48 -and $homes.Count -gt [Math]::Pow(2, 64 - $prefixLength)) {
        Refuse "SIXLINK_HOME_INTERFACES names $($homes.Count) interfaces, more than a /$prefixLength has networks of 64 bits"
      }
    }
  }
  $outer = Get-Value 'SIXLINK_OUTER_SERVER'
  if ($outer -ne '' -and $outer -notmatch '^[Ff][Ee]80:' -and -not ((Test-Address $outer '4') -or (Test-Address $outer '6'))) {
    Refuse "SIXLINK_OUTER_SERVER must be an IPv4 or IPv6 address, not '$outer'"
  }

  if ($kind -eq 'kernel') {
    if (-not (Undo-Record)) { exit 1 }
    Say 'this system has no tunnel interfaces of its own'
    exit 3
  }
  foreach ($name in $homes) {
    if (-not (Test-Interface $name $family)) { throw "the home interface $name does not exist: correct if_prefix in the configuration" }
  }

  # The way to the broker, where it is of the tunnel's inner family: before anything is done.
  $way = $null
  if ($defaultRoute -eq 'yes' -and $outer -ne '' -and (Test-Address $outer $family)) {
    $way = Find-NetRoute -RemoteIPAddress $outer -ErrorAction SilentlyContinue | Where-Object { $_.CimClass.CimClassName -eq 'MSFT_NetRoute' } | Select-Object -First 1
    if ($null -eq $way -or $way.InterfaceAlias -eq $alias) {
      throw "the broker $outer can be reached only through its own tunnel: add a route to it over another interface"
    }
  }

  Set-Interface $alias $family $mtu
  Add-Address $alias $client $length
  Add-Route $alias "$server/$full" $onLink $RouteMetric
  if ($hostType -eq 'router') {
    Enable-Forwarding $alias $family
    for ($i = 0; $i -lt $homes.Count; $i++) {
      Enable-Forwarding $homes[$i] $family
      if ($family -eq '4') {
        $bytes = [Net.IPAddress]::Parse($prefix).GetAddressBytes()
        if ($prefixLength -le 30) { $bytes[3] = $bytes[3] -bor 1 }
        Add-Address $homes[$i] ([Net.IPAddress]::new($bytes).ToString()) $prefixLength
      } else {
        $bytes = Get-Network $prefix $prefixLength $i
        $network = [Net.IPAddress]::new([byte[]]$bytes).ToString()
        $bytes[15] = 1
        Add-Address $homes[$i] ([Net.IPAddress]::new([byte[]]$bytes).ToString()) 64
        Publish-Network $homes[$i] "$network/64"
      }
    }
  }
  # What nobody uses of the prefix must not go back into the tunnel: Windows has no unreachable routes, but what it sends
  # to its own loopback interface comes nowhere.
  if ($prefix -ne '' -and -not ($hostType -eq 'router' -and ($family -eq '4' -or $prefixLength -eq 64))) {
    $loopback = (Get-NetIPInterface -InterfaceIndex $LoopbackIndex -AddressFamily "IPv$family").InterfaceAlias
    Add-Route $loopback "$prefix/$prefixLength" $onLink $UnreachableMetric
  }
  if ($null -ne $way -and $way.NextHop -ne $onLink) {
    Add-Route $way.InterfaceAlias "$outer/$full" $way.NextHop $BestMetric
  }
  switch ($defaultRoute) {
    'backup' { Add-Route $alias "$onLink/0" $onLink $BackupMetric }
    'yes' { Add-Route $alias "$onLink/0" $onLink $BestMetric }
  }
  if ($hostType -eq 'router' -and $family -eq '6') {
    $servers = Get-Value 'SIXLINK_DNS_SERVERS' (Get-Value 'TSP_CLIENT_DNS_ADDRESS_IPV6')
    if ($servers -ne '' -and -not $DryRun) { Write-Output "sixlink: Windows announces no DNS servers: tell the home network of $servers" }
  }
}

# ---- main -------------------------------------------------------------------------------------------------------

$script:Running = ''
$script:Verbose = Get-Number 'TSP_VERBOSE' '0' 0 9
$operation = Get-OneOf 'TSP_OPERATION' '' @('TSP_TUNNEL_CREATION', 'TSP_TUNNEL_TEARDOWN')
$script:Record = Get-Value 'SIXLINK_RECORD'
if ($script:Record -eq '') { $script:Record = Join-Path $env:ProgramData ('sixlink\' + (ConvertTo-Field (Get-Value 'TSP_TUNNEL_INTERFACE')) + '.record') }
if (-not [IO.Path]::IsPathRooted($script:Record)) { Refuse "SIXLINK_RECORD must be an absolute path, not '$($script:Record)'" }

if ($operation -eq 'TSP_TUNNEL_TEARDOWN') {
  if (Undo-Record) { exit 0 }
  exit 1
}
try {
  New-Tunnel
} catch {
  $what = $_.Exception.Message
  $command = $script:Running
  $undone = Undo-Record
  if ($command -ne '') { Say "command failed (exit 1): ${command}: $what" } else { Say $what }
  if (-not $undone) { Say "not everything could be undone: what is left is in $($script:Record); run the teardown again" }
  elseif ($what -match 'denied') { Say 'this needs an administrator' }
  exit 1
}
exit 0
